//! Buffers that one step leaves to the next, so that no step asks the system for fresh pages.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Numbers that go back to the pool when they are dropped. What they are at first is not said.
#[derive(Debug, Default)]
pub struct Buffer {
    values: Vec<f32>,
    len: usize,
}

#[derive(Debug)]
struct Pool {
    /// The oldest first.
    free: Vec<Vec<f32>>,
    free_elements: usize,
    used_elements: usize,
    used_most: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    free_elements: 0,
    used_elements: 0,
    used_most: 0,
});

/// A buffer of some elements.
pub fn buffer(len: usize) -> Buffer {
    let values = lock().take(len);
    // A fresh one is zeros that the system gives when they are touched.
    let values = values.unwrap_or_else(|| vec![0.0; len]);
    Buffer { values, len }
}

/// A buffer of zeros.
pub fn zeros(len: usize) -> Buffer {
    let mut buffer = buffer(len);
    buffer.fill(0.0);
    buffer
}

/// Tells the C library to keep freed memory for later: else each large tensor of a step is mapped,
/// cleared and unmapped anew. Called once, when a program starts that trains.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function only sets numbers of the allocator.
    unsafe {
        // Older libraries refuse more than the first and keep it.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// The smallest free buffer that is large enough and not twice as large; counts it as used.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let fitting = self.free.iter().enumerate();
        let fitting = fitting.filter(|(_, free)| free.len() >= len && free.len() / 2 <= len);
        let place = fitting.min_by_key(|(_, free)| free.len()).map(|(at, _)| at);
        let taken = place.map(|place| self.free.remove(place));
        let elements = taken.as_ref().map_or(len, Vec::len);
        if taken.is_some() {
            self.free_elements -= elements;
        }
        self.used_elements += elements;
        self.used_most = self.used_most.max(self.used_elements);
        taken
    }

    /// Takes a buffer back; what is more than was ever in use at once is given to the system.
    fn put(&mut self, values: Vec<f32>) {
        self.used_elements -= values.len();
        self.free_elements += values.len();
        self.free.push(values);
        while self.free_elements + self.used_elements > self.used_most {
            self.free_elements -= self.free.remove(0).len();
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        lock().put(std::mem::take(&mut self.values));
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;

    #[test]
    fn a_pool_keeps_what_one_step_needs() {
        let mut pool = Pool {
            free: Vec::new(),
            free_elements: 0,
            used_elements: 0,
            used_most: 0,
        };
        assert!(pool.take(100).is_none() && pool.take(60).is_none());
        pool.put(vec![0.0; 100]);
        pool.put(vec![0.0; 60]);
        assert_eq!(pool.take(50).unwrap().len(), 60);
        assert_eq!(pool.take(70).unwrap().len(), 100);
        pool.put(vec![0.0; 100]);
        // Ten times too large is not taken; the step that needs a new one pushes the old one out.
        assert!(pool.take(10).is_none());
        pool.put(vec![0.0; 60]);
        pool.put(vec![0.0; 10]);
        assert_eq!(pool.used_elements, 0);
        assert!(pool.free_elements <= pool.used_most);
        assert_eq!(
            pool.free.iter().map(Vec::len).sum::<usize>(),
            pool.free_elements
        );
    }
}
