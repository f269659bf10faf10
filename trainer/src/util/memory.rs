//! How much memory is left for this process, what work needs of it, and files that are read only if they fit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Result, bail, ensure};

/// The name of standard input where a file is expected.
pub const STDIN: &str = "-";

/// The memory that this process may still take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Bytes.
    pub bytes: u64,
    limit: Limit,
}

/// What limits the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Machine,
    Cgroup,
    AddressSpace,
}

impl std::fmt::Display for Available {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = match self.limit {
            Limit::Machine => "",
            Limit::Cgroup => " in this container (cgroup)",
            Limit::AddressSpace => " (ulimit -v)",
        };
        write!(f, "{} are available{limit}", amount(self.bytes as f64))
    }
}

/// The memory that is left: the least of what the machine has, what a cgroup leaves, and what `ulimit -v` leaves.
pub fn available() -> Available {
    let limits = [
        (Limit::Machine, of_machine()),
        (Limit::Cgroup, linux::of_cgroups()),
        (Limit::AddressSpace, linux::of_address_space()),
    ];
    let known = limits.into_iter();
    let known = known.filter_map(|(limit, bytes)| {
        Some(Available {
            bytes: bytes?,
            limit,
        })
    });
    known
        .min_by_key(|available| available.bytes)
        .unwrap_or(Available {
            bytes: u64::MAX,
            limit: Limit::Machine,
        })
}

#[cfg(target_os = "linux")]
fn of_machine() -> Option<u64> {
    linux::field(
        &std::fs::read_to_string("/proc/meminfo").ok()?,
        "MemAvailable:",
    )
}

#[cfg(not(target_os = "linux"))]
fn of_machine() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // 0 where it isn't known.
    Some(system.available_memory()).filter(|&bytes| bytes > 0)
}

/// Limits that are read from files, which other systems don't have.
mod linux {
    use std::fs::read_to_string;
    use std::path::Path;

    /// A number of kilobytes in a list such as `/proc/meminfo`, in bytes.
    pub(super) fn field(list: &str, name: &str) -> Option<u64> {
        let value = list.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kilobytes.checked_mul(1024)
    }

    /// What `ulimit -v` leaves: memory that is reserved and never used counts, too.
    pub(super) fn of_address_space() -> Option<u64> {
        let limits = read_to_string("/proc/self/limits").ok()?;
        let limit = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max address space"))?;
        let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
        let used = field(&read_to_string("/proc/self/status").ok()?, "VmSize:")?;
        Some(limit.saturating_sub(used))
    }

    /// What the cgroups of this process leave.
    pub(super) fn of_cgroups() -> Option<u64> {
        let own = read_to_string("/proc/self/cgroup").ok()?;
        of_cgroups_in(Path::new("/sys/fs/cgroup"), &own)
    }

    /// The least of what the groups leave whose names stand in `own`, and all groups above them.
    pub(super) fn of_cgroups_in(root: &Path, own: &str) -> Option<u64> {
        let left = own.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, group) = (parts.next()?, parts.next()?);
            let group = Path::new(group.trim_start_matches('/'));
            let is_first = controllers.split(',').any(|name| name == "memory");
            let root = if is_first {
                root.join("memory")
            } else {
                root.to_owned()
            };
            // In a container the names may be those outside, and its own group is the root.
            let groups = group.ancestors().map(|group| root.join(group));
            groups
                .filter_map(|group| {
                    if is_first {
                        of_first(&group)
                    } else {
                        of_second(&group)
                    }
                })
                .min()
        });
        left.min()
    }

    /// Of a group of the first version.
    fn of_first(group: &Path) -> Option<u64> {
        let files = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
        left(group, files, "total_inactive_file ")
    }

    /// Of a group of the second version.
    fn of_second(group: &Path) -> Option<u64> {
        left(group, ["memory.max", "memory.current"], "inactive_file ")
    }

    /// The limit without what is used. Cached files are given up for memory.
    fn left(group: &Path, [limit, used]: [&str; 2], cached: &str) -> Option<u64> {
        let number = |file| {
            read_to_string(group.join(file))
                .ok()?
                .trim()
                .parse::<u64>()
                .ok()
        };
        let limit = number(limit)?;
        let used = number(used).unwrap_or(0);
        let statistics = read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cached = statistics
            .lines()
            .find_map(|line| line.strip_prefix(cached)?.parse().ok());
        Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
    }
}

/// A number of bytes for people.
pub fn amount(bytes: f64) -> String {
    let units = ["GB", "TB", "PB"];
    let mut value = bytes / 1e9;
    if value < 1.0 {
        return format!("{:.0} MB", (bytes / 1e6).ceil());
    }
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// The memory that some work needs, in parts.
#[derive(Clone, Debug)]
pub struct Need {
    what: &'static str,
    parts: Vec<Part>,
}

/// A part of what is needed.
#[derive(Clone, Debug)]
struct Part {
    of: String,
    /// No number is too large for it.
    bytes: f64,
    remedy: String,
}

impl Need {
    /// Nothing yet, for this work.
    pub fn of(what: &'static str) -> Self {
        Self {
            what,
            parts: Vec::new(),
        }
    }

    /// Adds what something takes, and what makes that smaller.
    pub fn add(&mut self, of: impl Into<String>, bytes: f64, remedy: impl Into<String>) {
        let (of, remedy) = (of.into(), remedy.into());
        self.parts.push(Part { of, bytes, remedy });
    }

    /// All parts together.
    pub fn bytes(&self) -> f64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Refuses what is more than there is.
    ///
    /// # Errors
    /// Names what is needed, what there is, the largest part, and what makes that smaller.
    pub fn check(&self, available: Available) -> Result<()> {
        let all = self.bytes();
        let largest = self.parts.iter().max_by(|a, b| a.bytes.total_cmp(&b.bytes));
        let Some(largest) = largest.filter(|_| all > available.bytes as f64) else {
            return Ok(());
        };
        bail!(
            "{} needs about {} of memory, and {available}: {} of it for {}; {}",
            self.what,
            amount(all),
            amount(largest.bytes),
            largest.of,
            largest.remedy
        )
    }
}

/// Reads a file or, with `-`, standard input. It has to fit the memory that is left `copies` times.
///
/// # Errors
/// If it can't be read, or doesn't fit: a file by its size, a pipe or device when too much has come.
pub fn read(path: &Path, copies: u64) -> Result<Vec<u8>> {
    read_checked(path, copies, 0, |_| Ok(()))
}

/// As [`read`], and checks up to `head` bytes of its beginning before it reads on.
///
/// # Errors
/// As [`read`], and that of the check.
pub fn read_checked(
    path: &Path,
    copies: u64,
    head: u64,
    check: impl FnOnce(&[u8]) -> Result<()>,
) -> Result<Vec<u8>> {
    let available = available();
    let most = available.bytes / copies.max(1);
    let mut bytes = Vec::new();
    // Of a pipe or a device it is not known.
    let mut size = 0;
    let input: Box<dyn Read> = if path == Path::new(STDIN) {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path)?;
        size = file.metadata()?.len();
        Box::new(file)
    };
    let mut input = input.take(most.saturating_add(1));
    (&mut input).take(head).read_to_end(&mut bytes)?;
    check(&bytes)?;
    ensure!(
        size <= most,
        "it has {}, too many for memory: {available}",
        amount(size as f64)
    );
    bytes.try_reserve_exact((size as usize).saturating_sub(bytes.len()))?;
    input.read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= most,
        "it goes on after {}, too many for memory: {available}; is it endless?",
        amount(most as f64)
    );
    Ok(bytes)
}

/// What a file is called in messages.
pub fn name(path: &Path) -> String {
    if path == Path::new(STDIN) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_least_of_all_groups_counts_and_cached_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |group: &str, file: &str, contents: &str| {
            let group = folder.path().join(group);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(file), contents).unwrap();
        };
        let left = |own: &str| linux::of_cgroups_in(folder.path(), own);
        assert_eq!(left("0::/a/b\n"), None);
        write("a", "memory.max", "5000\n");
        write("a", "memory.current", "3000\n");
        write("a", "memory.stat", "active_file 7\ninactive_file 1000\n");
        write("a/b", "memory.max", "max\n");
        assert_eq!(left("0::/a/b\n"), Some(3000));
        assert_eq!(left("0::/elsewhere\n"), None);
        write("memory", "memory.limit_in_bytes", "900\n");
        write("memory", "memory.usage_in_bytes", "1000\n");
        assert_eq!(left("4:cpu,memory:/of/outside\n0::/a\n"), Some(0));
        write("memory", "memory.stat", "total_inactive_file 300\n");
        assert_eq!(left("4:memory:/\n0::/a/b\n"), Some(200));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_largest_part() {
        let mut need = Need::of("this run");
        need.add("the weights", 2.0e9, "use a smaller --hidden");
        need.add("a batch", 39.2e9, "use a smaller --batch");
        let available = |bytes| Available {
            bytes,
            limit: Limit::AddressSpace,
        };
        need.check(available(42_000_000_000)).unwrap();
        assert_eq!(
            need.check(available(3_700_000_000))
                .unwrap_err()
                .to_string(),
            "this run needs about 41.2 GB of memory, and 3.7 GB are available (ulimit -v): 39.2 GB of it for a batch; \
             use a smaller --batch"
        );
        assert_eq!(amount(1.2e6), "2 MB");
        assert_eq!(amount(2.25e15), "2.2 PB");
    }

    #[test]
    fn files_are_refused_by_their_size_and_endless_ones_when_too_much_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, 1).unwrap(), b"abc");
        let error = read(&path, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("too many for memory"), "{error}");
        #[cfg(unix)]
        {
            let megabytes = available().bytes / 1_000_000;
            let error = read(Path::new("/dev/zero"), megabytes).unwrap_err();
            assert!(error.to_string().contains("endless"), "{error}");
        }
    }
}
