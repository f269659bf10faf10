//! The page of a run and its curves.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, Once};
use std::time::Duration;

use charlet_trainer::config::{Config, Mode};
use charlet_trainer::report::observers;
use charlet_trainer::report::progress_bar::Plain;
use charlet_trainer::train::control::Request;
use charlet_trainer::train::training_loop::{Outcome, train};
use charlet_trainer::util::run_dir::RunFolder;
use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::place::{Place, lines};

/// A run that learns something in a moment.
const OPTIONS: [&str; 14] = [
    "--hidden",
    "8",
    "--embedding",
    "4",
    "--epochs",
    "6",
    "--batch",
    "4",
    "--lr",
    "0.02",
    "--val-split",
    "0.2",
    "--schedule",
    "constant",
];

/// Trains on a file, into the folder `run`; gives what was printed and the page.
fn trained(place: &Place, data: &str, options: &[&str]) -> (String, String) {
    let command = [&["train", "--out", "run", data][..], &OPTIONS, options].concat();
    let printed = place.succeed(&command);
    (printed, read(&place.path("run/report.html")))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn epochs(run: &Path) -> Vec<Value> {
    let log = read(&run.join("metrics.jsonl"));
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The text between the tags of a page, a line for each piece. Fails if a tag is not closed.
fn text(page: &str) -> Vec<String> {
    const VOID: [&str; 2] = ["!DOCTYPE", "meta"];
    let (mut open, mut pieces) = (Vec::new(), Vec::new());
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{part}");
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
        if open.last() != Some(&"style") && !text.trim().is_empty() {
            pieces.push(unescaped(text.trim()));
        }
    }
    assert_eq!(open, [""; 0]);
    pieces
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// The first number behind a word in what was printed.
fn number_after(printed: &str, word: &str) -> f64 {
    let rest = printed
        .split_once(word)
        .unwrap_or_else(|| panic!("{word}: {printed}"))
        .1;
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_page_has_every_part_with_the_numbers_of_the_logs() {
    let place = Place::new();
    let file = place.write("towns.txt", lines().repeat(3));
    let (printed, page) = trained(&place, &file, &[]);
    let pieces = text(&page);
    let has = |piece: &str| assert!(pieces.iter().any(|it| it == piece), "{piece}: {pieces:#?}");
    has("towns");
    for part in ["Curves", "Samples", "On the chip", "Network", "Settings"] {
        has(part);
    }
    let epochs = epochs(&place.path("run"));
    let loss = |epoch: &Value| epoch["validation_nats_per_char"].as_f64().unwrap();
    let best = epochs
        .iter()
        .min_by(|one, other| loss(one).total_cmp(&loss(other)))
        .unwrap();
    has(&format!(
        "best: {:.3} after epoch {}",
        loss(best),
        best["epoch"]
    ));
    let baseline = number_after(&printed, "baseline  counts of character pairs: held out ");
    has(&format!("pairs of characters: {baseline:.3}"));
    // A row of the table for every precision: flash, RAM, and the loss in three units.
    for (precision, word) in [
        ("f32", "towns.charlet: held out "),
        ("i8", "as i8, "),
        ("i4", "as i4, "),
    ] {
        let said = printed
            .lines()
            .find(|line| line.starts_with("runtime") && line.contains(word))
            .unwrap();
        let at = pieces
            .iter()
            .position(|piece| piece.starts_with(precision))
            .unwrap();
        let cell = |column: usize| pieces[at + column].replace(',', "").parse::<f64>().unwrap();
        for (column, unit) in [(3, " nats/char"), (4, " bits/char"), (5, " bits/line")] {
            let said = said
                .split(unit)
                .next()
                .unwrap()
                .split_whitespace()
                .last()
                .unwrap();
            let said: f64 = said.parse().unwrap();
            assert!(
                (cell(column) - said).abs() <= 0.0051,
                "{precision}{unit}: {} {said}",
                cell(column)
            );
        }
        if precision == "f32" {
            let bytes = fs::metadata(place.path("run/towns.charlet")).unwrap().len();
            assert_eq!(cell(1), bytes as f64);
        } else {
            assert_eq!(cell(1), number_after(said, word));
        }
    }
    let novelty = printed
        .lines()
        .find_map(|line| line.strip_prefix("new       "))
        .unwrap();
    has(&format!("New: {novelty}."));
    for temperature in ["0.2", "0.5", "1.0", "1.2"] {
        has(temperature);
    }
    let settings: toml::Table = read(&place.path("run/config.toml")).parse().unwrap();
    for (name, value) in settings
        .values()
        .flat_map(|section| section.as_table().unwrap())
    {
        let at = pieces
            .iter()
            .position(|piece| piece == name)
            .unwrap_or_else(|| panic!("{name}"));
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let all: Vec<&String> = pieces.iter().skip(at).collect();
        assert!(
            all.windows(2)
                .any(|pair| pair[0] == name && *pair[1] == value),
            "{name} {value}"
        );
    }
    let alone = !page.contains("<script") && !page.contains("src=") && !page.contains("url(");
    assert!(
        alone && page.matches("http").count() == page.matches("xmlns=\"http").count(),
        "{page}"
    );
    // The command that it gives works where the page is.
    let command = pieces
        .iter()
        .find(|piece| piece.contains("charlet generate "))
        .unwrap();
    let command = shlex::split(command).unwrap();
    let output = std::process::Command::new(&command[0])
        .args(&command[1..])
        .current_dir(place.path("run"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().lines().count(),
        20
    );
}

#[test]
fn names_and_samples_that_look_like_html_are_shown_as_they_are() {
    let place = Place::new();
    let name = "<b>&amp;\"it's";
    let list = "<script>alert(1)</script>\n<i>\"&'\n<script>x</script>\n<i>&lt;</i>\n";
    let file = place.write(&format!("{name}.txt"), list.repeat(3));
    let (_, page) = trained(&place, &file, &[]);
    let pieces = text(&page);
    assert!(pieces.iter().any(|piece| piece == name), "{pieces:#?}");
    for tag in ["<script", "<b>", "<i>"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let at = pieces.iter().position(|piece| piece == "1.0").unwrap();
    assert!(
        pieces[at + 1].contains(['<', '>', '&', 's']),
        "{}",
        pieces[at + 1]
    );
    // A shell gets the name in quotes.
    let quotes = ["&#39;", "'", "&quot;"];
    let is_quoted = |quote| page.contains(&format!("charlet generate {quote}"));
    assert!(quotes.into_iter().any(is_quoted), "{page}");
}

#[test]
fn a_page_says_whether_its_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    fs::write(&data, lines().repeat(3)).unwrap();
    let mut config = Config::defaults(Mode::Lines);
    config.data.path = Some(data);
    config.network.hidden_size = 8;
    config.training.epochs = 2;
    config.training.batch_size = 4;
    let page = folder.path().join("run/report.html");
    let seen = Mutex::new(None);
    let go_on = |checkpoint, folder: &RunFolder, ends: bool| {
        let slept = Once::new();
        let next_request = || {
            // The first page comes with the first epoch that ends two seconds after the start.
            slept.call_once(|| std::thread::sleep(Duration::from_millis(2100)));
            let mut seen = seen.lock().unwrap();
            *seen = seen.take().or_else(|| fs::read_to_string(&page).ok());
            (ends && seen.is_some()).then_some(Request::Stop)
        };
        train(
            &config,
            checkpoint,
            folder,
            &next_request,
            &mut observers(&config, Box::new(Plain(std::io::sink()))).unwrap(),
        )
        .unwrap()
    };
    let run = RunFolder::create(&folder.path().join("run"), "data", false).unwrap();
    assert_eq!(go_on(None, &run, true), Outcome::Interrupted);
    let under_way = seen.lock().unwrap().take().unwrap();
    let reloads = |page: &str| page.contains("http-equiv=\"refresh\"");
    assert!(reloads(&under_way) && under_way.contains("Training is under way"));
    // Nobody is there to tell a page that its training was killed.
    assert!(under_way.contains(" train --resume .<"));
    let stopped = read(&page);
    assert!(!reloads(&stopped) && stopped.contains("Training was stopped"));
    let last = charlet_trainer::train::checkpoint::Checkpoint::load(
        &run.last(),
        &candle_core::Device::Cpu,
    );
    go_on(Some(&last.unwrap()), &run, false);
    let complete = read(&page);
    assert!(!reloads(&complete) && !complete.contains("class=\"status\""));
}

#[test]
fn a_page_that_cannot_be_written_is_told_once_and_ends_nothing() {
    let place = Place::new();
    let file = place.write("towns.txt", lines().repeat(3));
    // A folder is in the way.
    fs::create_dir_all(place.path("run/report.html/inside")).unwrap();
    let command = [&["train", "--out", "run", &file][..], &OPTIONS].concat();
    let printed = place.succeed(&command);
    assert_eq!(
        printed.matches("no page: can't write").count(),
        1,
        "{printed}"
    );
    assert!(place.path("run/towns.charlet").exists());
}

/// Rows of pixels, three bytes each.
struct Picture {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Picture {
    fn decode(bytes: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::STRIP_16 | png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let channels = info.color_type.samples();
        let (width, height) = (info.width as usize, info.height as usize);
        let bytes = pixels
            .chunks(channels)
            .flat_map(|pixel| &pixel[..3])
            .copied()
            .collect();
        Self {
            width,
            height,
            bytes,
        }
    }

    fn is(&self, x: usize, y: usize, colour: [u8; 3]) -> bool {
        self.bytes[3 * (y * self.width + x)..][..3] == colour
    }

    fn count(&self, colour: [u8; 3]) -> usize {
        self.bytes
            .chunks(3)
            .filter(|pixel| *pixel == colour)
            .count()
    }

    /// The column of these that has most pixels of a colour.
    fn column(&self, columns: std::ops::Range<usize>, colour: [u8; 3]) -> usize {
        let count = |&x: &usize| (0..self.height).filter(|&y| self.is(x, y, colour)).count();
        columns.max_by_key(count).unwrap()
    }
}

const PAPER: [u8; 3] = [255, 255, 255];
const INK: [u8; 3] = [51, 51, 51];
const HELD_OUT: [u8; 3] = [0, 114, 178];
const SMOOTHED: [u8; 3] = [213, 94, 0];
const TRAINING: [u8; 3] = [230, 159, 0];

#[test]
fn the_held_out_curve_is_where_the_log_says() {
    let place = Place::new();
    let file = place.write("towns.txt", lines().repeat(3));
    trained(&place, &file, &[]);
    let picture = Picture::decode(&fs::read(place.path("run/curves.png")).unwrap());
    for colour in [SMOOTHED, TRAINING, HELD_OUT] {
        assert!(picture.count(colour) > 100, "{colour:?}");
    }
    let losses: Vec<f64> = epochs(&place.path("run"))
        .iter()
        .map(|epoch| epoch["validation_nats_per_char"].as_f64().unwrap())
        .collect();
    // The axes are the longest lines of ink; epoch 0 is at the left one, the last at the right one.
    let (left, right) = (
        picture.column(0..picture.width / 4, INK),
        picture.column(picture.width * 3 / 4..picture.width, INK),
    );
    let legend = 120;
    let middle = |at: usize| {
        // Half-way from one epoch to the next, where the loss is the mean of both.
        let share = (at as f64 + 1.5) / losses.len() as f64;
        let x = left + ((right - left) as f64 * share).round() as usize;
        let column: Vec<usize> = (legend..picture.height * 2 / 3)
            .filter(|&y| picture.is(x, y, HELD_OUT))
            .collect();
        assert!(!column.is_empty(), "no curve at {x}");
        let y = column.iter().sum::<usize>() as f64 / column.len() as f64;
        ((losses[at] + losses[at + 1]) / 2.0, y)
    };
    let mut places: Vec<(f64, f64)> = (0..losses.len() - 1).map(middle).collect();
    places.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (low, high) = (places[0], places[places.len() - 1]);
    assert!(low.1 > high.1 + 50.0, "{places:?}");
    for (loss, y) in &places {
        let share = (loss - low.0) / (high.0 - low.0);
        let expected = low.1 + share * (high.1 - low.1);
        assert!((y - expected).abs() < 4.0, "{loss}: {y} and not {expected}");
    }
}

/// Text, figures and samples are there, and nothing is wider than a phone.
#[test]
fn a_browser_shows_the_page() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let place = Place::new();
    let poem = "The sea was wet as wet could be, the sands were dry as dry. ".repeat(30);
    let long = "a".repeat(70);
    for (data, options) in [
        (
            place.write(&format!("{long}.txt"), lines().repeat(3)),
            &["--force"][..],
        ),
        (
            place.write("poem.txt", poem),
            &["--mode", "text", "--window", "8", "--force"],
        ),
    ] {
        let (_, page) = trained(&place, &data, options);
        let report = place.path("run/report.html");
        let shown = browser.show(&report);
        assert_eq!(shown.console, [""; 0]);
        let pieces = text(&page);
        for piece in pieces
            .iter()
            .filter(|piece| !piece.contains(['<', '>', '&', '"', '\'']))
        {
            assert!(shown.dom.contains(piece.as_str()), "{piece}");
        }
        // A frame as narrow as a phone, which tells how wide its contents are.
        let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
        let frame = format!(
            "<iframe style='width: 400px' srcdoc=\"{escaped}\" onload=\"console.log('wide ' + \
             this.contentDocument.documentElement.scrollWidth + ' of ' + \
             this.contentDocument.documentElement.clientWidth)\"></iframe>"
        );
        let frame = place.path(&place.write("frame.html", frame));
        let console = browser.show(&frame).console;
        let [said] = &console[..] else {
            panic!("{console:?}");
        };
        let mut numbers = said
            .split(['"', ' '])
            .filter_map(|word| word.parse::<usize>().ok());
        let (wide, of) = (numbers.next_back(), said);
        let last = wide.unwrap();
        assert_eq!(numbers.next_back(), Some(last), "{of}");
        for (width, is_dark) in [(1280, false), (400, true)] {
            let picture = Picture::decode(&browser.photograph(&report, width, is_dark));
            assert_eq!(picture.width, width as usize);
            assert_eq!(picture.is(1, 1, PAPER), !is_dark);
            let paper = &picture.bytes[..3];
            let drawn = picture
                .bytes
                .chunks(3)
                .filter(|pixel| *pixel != paper)
                .count();
            assert!(drawn * 50 > picture.width * picture.height, "{drawn}");
        }
    }
}
