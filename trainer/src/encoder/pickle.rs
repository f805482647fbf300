//! Tensors of `pytorch_model.bin`: the zip file of PyTorch 1.6 and later, by candle's reader, and the
//! plain file of older versions, in which many models are still published.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use candle_core::pickle::{Object, PthTensors, Stack, TensorInfo};
use candle_core::{Context, DType, Device, Result, Tensor, bail};

/// How files from before the zip file begin: a pickle of a magic number.
const MAGIC: [u8; 15] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
];

/// An open file.
pub enum Pickle {
    Zip(PthTensors),
    Plain(Plain),
}

/// A file from before the zip file: pickles of what there is, then the storages.
pub struct Plain {
    bytes: Vec<u8>,
    /// By name of the tensor.
    tensors: BTreeMap<String, Entry>,
    /// Where the values of a storage begin, and how many bytes they are.
    storages: BTreeMap<String, (usize, usize)>,
}

/// A tensor of the plain file.
struct Entry {
    dtype: DType,
    dims: Vec<usize>,
    /// Where it begins in its storage, in elements.
    first: usize,
    /// Name of its storage.
    storage: String,
}

impl Pickle {
    pub fn open(path: &Path) -> Result<Pickle> {
        let bytes = std::fs::read(path)?;
        if bytes.starts_with(b"PK") {
            return Ok(Pickle::Zip(guarded(|| PthTensors::new(path, None))?));
        }
        Ok(Pickle::Plain(Plain::parse(bytes)?))
    }

    /// Names and shapes of all tensors.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let shape = |(name, info): (&String, &TensorInfo)| {
            let dims = info.layout.shape().dims();
            (name.clone(), dims.to_vec())
        };
        match self {
            Pickle::Zip(file) => file.tensor_infos().iter().map(shape).collect(),
            Pickle::Plain(file) => {
                let all = file.tensors.iter();
                all.map(|(name, entry)| (name.clone(), entry.dims.clone()))
                    .collect()
            }
        }
    }

    pub fn load(&self, name: &str) -> Result<Tensor> {
        match self {
            Pickle::Zip(file) => guarded(|| file.get(name))?.context("no such tensor"),
            Pickle::Plain(file) => file.load(name),
        }
    }
}

impl Plain {
    fn parse(bytes: Vec<u8>) -> Result<Plain> {
        if !bytes.starts_with(&MAGIC) {
            bail!("expected a file that torch.save wrote");
        }
        let mut reader = Cursor::new(&bytes[..]);
        reader.set_position(MAGIC.len() as u64);
        let mut next = || -> Result<Object> {
            let mut stack = Stack::empty();
            stack.read_loop(&mut reader)?;
            stack.finalize()
        };
        let (_version, _system) = (next()?, next()?);
        let Object::Dict(all) = next()? else {
            bail!("expected tensors by their names");
        };
        let keys = match next()? {
            Object::List(keys) => keys,
            _ => bail!("expected a list of storages"),
        };
        let mut tensors = BTreeMap::new();
        for (name, value) in all {
            if let (Object::Unicode(name), Some(entry)) = (name, Entry::of(&value)) {
                tensors.insert(name, entry);
            }
        }
        let mut place = reader.position() as usize;
        let mut storages = BTreeMap::new();
        for key in keys {
            let Ok(key) = key.unicode() else {
                bail!("expected the name of a storage");
            };
            let own = tensors.values().find(|entry| entry.storage == key);
            let Some(own) = own else {
                bail!("storage {key} belongs to no tensor");
            };
            let elements = bytes.get(place..place + 8).and_then(|eight| {
                let eight: [u8; 8] = eight.try_into().ok()?;
                usize::try_from(i64::from_le_bytes(eight)).ok()
            });
            let length = elements.and_then(|count| count.checked_mul(own.dtype.size_in_bytes()));
            let length = length.filter(|&length| length <= bytes.len() - place - 8);
            let length = length.context("the file ends within its values")?;
            storages.insert(key, (place + 8, length));
            place += 8 + length;
        }
        Ok(Plain {
            bytes,
            tensors,
            storages,
        })
    }

    fn load(&self, name: &str) -> Result<Tensor> {
        let entry = self.tensors.get(name).context("no such tensor")?;
        let (start, length) = *self.storages.get(&entry.storage).context("no storage")?;
        let size = entry.dtype.size_in_bytes();
        let elements = entry
            .dims
            .iter()
            .try_fold(1, |all: usize, &own| all.checked_mul(own));
        let place = elements.and_then(|elements| {
            let first = entry.first.checked_mul(size)?;
            let end = first.checked_add(elements.checked_mul(size)?)?;
            (end <= length).then_some(start + first..start + end)
        });
        let values = &self.bytes[place.context("a tensor beyond its storage")?];
        Tensor::from_raw_buffer(values, entry.dtype, &entry.dims, &Device::Cpu)
    }
}

impl Entry {
    /// The tensor that an object of a pickle stands for, if it is one that lies in one piece.
    fn of(value: &Object) -> Option<Entry> {
        let Object::Reduce { callable, args } = value else {
            return None;
        };
        let (Object::Class { class_name, .. }, Object::Tuple(args)) = (&**callable, &**args) else {
            return None;
        };
        match (class_name.as_str(), &args[..]) {
            ("_rebuild_parameter", [inner, ..]) => Entry::of(inner),
            (
                "_rebuild_tensor_v2",
                [
                    Object::PersistentLoad(storage),
                    first,
                    Object::Tuple(dims),
                    Object::Tuple(strides),
                    ..,
                ],
            ) => {
                let Object::Tuple(storage) = &**storage else {
                    return None;
                };
                let [
                    _,
                    Object::Class { class_name, .. },
                    Object::Unicode(key),
                    ..,
                ] = &storage[..]
                else {
                    return None;
                };
                let dims = dims.iter().map(number).collect::<Option<Vec<_>>>()?;
                let strides = strides.iter().map(number).collect::<Option<Vec<_>>>()?;
                contiguous(&dims, &strides).then_some(())?;
                Some(Entry {
                    dtype: dtype(class_name)?,
                    dims,
                    first: number(first)?,
                    storage: key.clone(),
                })
            }
            _ => None,
        }
    }
}

fn number(object: &Object) -> Option<usize> {
    match object {
        Object::Int(number) => usize::try_from(*number).ok(),
        Object::Long(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

fn dtype(storage: &str) -> Option<DType> {
    Some(match storage {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "ByteStorage" => DType::U8,
        "LongStorage" => DType::I64,
        _ => return None,
    })
}

/// Whether elements follow each other as in C.
fn contiguous(dims: &[usize], strides: &[usize]) -> bool {
    let mut wanted = 1usize;
    let mut sizes = dims.iter().zip(strides).rev();
    dims.len() == strides.len()
        && sizes.all(|(&size, &stride)| {
            let fits = size == 1 || stride == wanted;
            wanted = wanted.saturating_mul(size);
            fits
        })
}

/// candle's reader of zip files takes what it reads for well made, and panics where it is not.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read,
        Err(_) => bail!("the file is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Plain;

    #[test]
    fn damaged_files_are_read_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/bert-old-bin");
        let whole = std::fs::read(folder.join("pytorch_model.bin")).unwrap();
        assert!(Plain::parse(whole.clone()).is_ok());
        let mut refused = 0;
        for place in (0..9_000).step_by(31) {
            for byte in [0, 1, 2, 0x29, 0x52, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] = byte;
                match Plain::parse(bytes) {
                    Ok(file) => {
                        let names = file.tensors.keys();
                        refused += names.filter(|name| file.load(name).is_err()).count();
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 200, "{refused}");
    }
}
