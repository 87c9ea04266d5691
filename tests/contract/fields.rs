//! The members of a struct, as serde names them.

use std::collections::BTreeSet;

use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// The members of `T`, in the spelling of the JSON.
pub(crate) fn of<'a, T: Deserialize<'a>>() -> BTreeSet<&'static str> {
    let mut fields: &'static [&'static str] = &[];
    // This call always fails, because the recorder has no data and only notes the names that serde asks for.
    let _ = T::deserialize(Recorder(&mut fields));
    fields.iter().copied().collect()
}

struct Recorder<'r>(&'r mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("only the names of the members are wanted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
