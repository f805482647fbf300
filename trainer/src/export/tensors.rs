//! Writing tensors in the format of safetensors, as transformers wants it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// Writes tensors in f32, in the order of their names, and syncs the file.
///
/// The header says `format: pt`: without it older versions of transformers refuse the file.
///
/// # Errors
/// The disk refuses.
pub fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += 4 * tensor.elem_count();
        let entry = json!({
            "dtype": "F32", "shape": tensor.dims(), "data_offsets": [start, end],
        });
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string();
    // Values begin at a multiple of 8 bytes.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let failed = || Error::input(path);
    let file = File::create(path).map_err(failed())?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| out.write_all(header.as_bytes()))
        .map_err(failed())?;
    for tensor in tensors.values() {
        let values = tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        for value in values.flatten_all()?.to_vec1::<f32>()? {
            out.write_all(&value.to_le_bytes()).map_err(failed())?;
        }
    }
    let file = out.into_inner().map_err(|error| error.into_error());
    file.and_then(|file| file.sync_all()).map_err(failed())
}
