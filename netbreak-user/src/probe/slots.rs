//! A table whose places are used again, with names that are not.

/// Values by token. A token of a value that is gone finds nothing, also when its place has another.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Puts a value in; returns its token.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (generation, place) = &mut self.places[index as usize];
        *place = Some(value);
        u64::from(*generation) << 32 | u64::from(index)
    }

    /// The value of a token.
    pub(super) fn get(&mut self, token: u64) -> Option<&mut T> {
        match self.places.get_mut(token as u32 as usize) {
            Some((generation, value)) if *generation == (token >> 32) as u32 => value.as_mut(),
            _ => None,
        }
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, token: u64) -> Option<T> {
        self.get(token)?;
        let (generation, value) = &mut self.places[token as u32 as usize];
        *generation = generation.wrapping_add(1);
        self.free.push(token as u32);
        value.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_token_does_not_find_the_new_value_in_its_place() {
        let mut slots = Slots::default();
        let (a, b) = (slots.insert('a'), slots.insert('b'));
        assert_eq!((slots.remove(a), slots.remove(a), slots.len()), (Some('a'), None, 1));
        let c = slots.insert('c');
        assert_eq!(c as u32, a as u32, "the place is used again");
        assert_eq!(slots.get(a), None);
        assert_eq!(slots.len(), 2);
        assert_eq!((slots.get(b).copied(), slots.get(c).copied()), (Some('b'), Some('c')));
    }
}
