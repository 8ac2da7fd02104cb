//! Global memory: allocations far from each other, so that no access strays from one into the next.

/// Everything that was uploaded or reserved.
#[derive(Default)]
pub struct Memory {
    allocations: Vec<Vec<u8>>,
}

/// How far allocations lie apart.
const APART: u64 = 1 << 32;

/// A type whose bytes are its value.
pub trait Plain: Copy {
    fn to_bytes(self) -> Vec<u8>;
    fn of_bytes(bytes: &[u8]) -> Self;
}

impl Plain for f32 {
    fn to_bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
    fn of_bytes(bytes: &[u8]) -> f32 {
        f32::from_le_bytes(bytes.try_into().expect("4 bytes"))
    }
}

impl Plain for u32 {
    fn to_bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
    fn of_bytes(bytes: &[u8]) -> u32 {
        u32::from_le_bytes(bytes.try_into().expect("4 bytes"))
    }
}

impl Plain for u16 {
    fn to_bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
    fn of_bytes(bytes: &[u8]) -> u16 {
        u16::from_le_bytes(bytes.try_into().expect("2 bytes"))
    }
}

impl Plain for i8 {
    fn to_bytes(self) -> Vec<u8> {
        vec![self as u8]
    }
    fn of_bytes(bytes: &[u8]) -> i8 {
        bytes[0] as i8
    }
}

impl Memory {
    /// Copies values to memory of their own; returns its address.
    pub fn upload<T: Plain>(&mut self, values: &[T]) -> u64 {
        self.allocations.push(values.iter().flat_map(|value| value.to_bytes()).collect());
        self.allocations.len() as u64 * APART
    }

    /// Room for so many bytes, none of them written yet.
    pub fn reserve(&mut self, bytes: usize) -> u64 {
        self.allocations.push(vec![0xff; bytes]);
        self.allocations.len() as u64 * APART
    }

    /// The whole allocation.
    pub fn download<T: Plain>(&self, address: u64) -> Vec<T> {
        let size = size_of::<T>();
        self.allocations[(address / APART - 1) as usize].chunks(size).map(T::of_bytes).collect()
    }

    pub fn bytes(&mut self, address: u64, len: usize) -> Result<&mut [u8], String> {
        let outside = || format!("{len} bytes at {address:#x} are outside of every allocation");
        let index = (address / APART).checked_sub(1).ok_or_else(outside)? as usize;
        let allocation = self.allocations.get_mut(index).ok_or_else(outside)?;
        let (size, at) = (allocation.len(), (address % APART) as usize);
        if at % len != 0 {
            return Err(format!("{len} bytes at {at} of an allocation: not aligned"));
        }
        allocation
            .get_mut(at..at + len)
            .ok_or_else(|| format!("{len} bytes at {at} of an allocation of {size}"))
    }
}
