//! Models that are part of the program, whatever they are called, and whatever is called like a part of the macros.
#![allow(non_snake_case, non_upper_case_globals, reason = "any name will do")]

use charlet::{Session, Sizes};

/// For each name a module: with a model of this name, and with a file of this name beside another model.
macro_rules! named {
    ($($name:ident)*) => {
        mod models {
            $(pub mod $name {
                ::charlet::model!(pub $name, "../fuzz/seeds/model/1");
            })*
        }

        mod files {
            $(pub mod $name {
                pub static $name: &[u8] =
                    ::charlet::include_model!("../fuzz/seeds/model/1");
                pub const SIZES_OF_IT: ::charlet::Sizes = ::charlet::sizes_of!($name);
                ::charlet::model!(pub ANOTHER, "../fuzz/seeds/model/1");
            })*
        }

        #[test]
        fn a_model_may_have_any_name() {
            $(
                check(models::$name::$name.session(), models::$name::$name.sizes());
                check(files::$name::ANOTHER.session(), files::$name::SIZES_OF_IT);
                assert_eq!(files::$name::$name, models::$name::$name.bytes());
            )*
        }
    };
}

fn check<S, W>(session: Session<'_, S, W>, sizes: Sizes) {
    assert_eq!(session.model().sizes(), sizes);
}

// Of the macros, of what they call, and of the prelude.
named!(
    MODEL FILE BYTES SIZES Aligned Model Session SessionOf Sizes State StaticModel Workspace Error B S W Ok Err Some
    None Result Option Clone Copy Debug model file bytes sizes session error path name state workspace core charlet u8
    u32 panic fail __model __sizes r#type r#static
);
