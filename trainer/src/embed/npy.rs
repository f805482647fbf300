//! The header of NumPy's file format, version 1.0.

/// The bytes before the values of an array `[rows, dimension]` of little-endian `f32`, row by row.
pub fn header(rows: u64, dimension: usize) -> Vec<u8> {
    let table =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}");
    // Magic, version and length are 10 bytes; all of it ends with a line break at a multiple of 64.
    let length = (10 + table.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(length as u16).to_le_bytes());
    header.extend_from_slice(table.as_bytes());
    header.resize(10 + length - 1, b' ');
    header.push(b'\n');
    header
}
