//! The files of a tar, read in passing.

use std::io::{self, Read};

use super::archive::{Members, is_junk};

/// The files of a tar, read in passing.
pub(super) struct TarMembers {
    reader: Box<dyn Read + Send>,
    left: u64,
    padding: u64,
}

impl TarMembers {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> TarMembers {
        TarMembers {
            reader,
            left: 0,
            padding: 0,
        }
    }

    fn whole(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > 1 << 20 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a tar name longer than 1 MiB",
            ));
        }
        let mut bytes = vec![0; size.next_multiple_of(512) as usize];
        self.reader.read_exact(&mut bytes)?;
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    /// The path in a pax header: lines of `length key=value`.
    fn pax_path(record: &[u8]) -> Option<String> {
        let lines = record.split(|&byte| byte == b'\n');
        let mut pairs = lines.filter_map(|line| line.splitn(2, |&byte| byte == b' ').nth(1));
        let path = pairs.find_map(|pair| pair.strip_prefix(b"path="))?;
        Some(String::from_utf8_lossy(path).into_owned())
    }
}

impl Members for TarMembers {
    fn advance(&mut self) -> io::Result<Option<Option<String>>> {
        io::copy(
            &mut (&mut self.reader).take(self.left + self.padding),
            &mut io::sink(),
        )?;
        (self.left, self.padding) = (0, 0);
        let mut long_name = None;
        loop {
            let mut block = [0; 512];
            self.reader.read_exact(&mut block)?;
            if block.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            let header = ::tar::Header::from_byte_slice(&block);
            let sum: u32 = block
                .iter()
                .enumerate()
                .map(|(at, &byte)| {
                    if (148..156).contains(&at) {
                        32
                    } else {
                        u32::from(byte)
                    }
                })
                .sum();
            if header.cksum()? != sum {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a tar header's checksum differs",
                ));
            }
            let (kind, size) = (header.entry_type(), header.entry_size()?);
            match kind {
                _ if kind.is_gnu_longname() => {
                    let name = self.whole(size)?;
                    long_name = Some(
                        String::from_utf8_lossy(&name)
                            .trim_end_matches('\0')
                            .to_string(),
                    );
                }
                _ if kind.is_pax_local_extensions() => {
                    long_name = TarMembers::pax_path(&self.whole(size)?).or(long_name);
                }
                _ if kind.is_file() => {
                    let name = long_name.take().unwrap_or_else(|| {
                        String::from_utf8_lossy(&header.path_bytes()).into_owned()
                    });
                    (self.left, self.padding) = (size, size.next_multiple_of(512) - size);
                    if is_junk(&name) {
                        return self.advance();
                    }
                    return Ok(Some(Some(name)));
                }
                _ => {
                    io::copy(
                        &mut (&mut self.reader).take(size.next_multiple_of(512)),
                        &mut io::sink(),
                    )?;
                    long_name = None;
                }
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.reader.read(&mut buffer[..wanted])?;
        if got == 0 && wanted > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the tar ends in the middle of a member",
            ));
        }
        self.left -= got as u64;
        Ok(got)
    }
}
