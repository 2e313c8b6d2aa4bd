//! Files that appear only when they are complete, and lines as they are read.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use futures::{Stream, stream};
use tokio::sync::mpsc;

/// How many lines are read ahead.
const AHEAD: usize = 64;

/// The output: `-` is standard output.
pub(super) struct Target {
    /// `None` when it is finished.
    writer: Option<BufWriter<Box<dyn Write + Send>>>,
    /// The file under its preliminary name, and its final one.
    file: Option<(File, PathBuf, PathBuf)>,
}

impl Target {
    /// Begins a file, whose name ends in `.part` until it is finished.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { writer: Some(BufWriter::new(Box::new(io::stdout()))), file: None });
        }
        let mut part: OsString = path.into();
        part.push(".part");
        let file = File::create(&part)?;
        let writer = BufWriter::new(Box::new(file.try_clone()?) as Box<_>);
        Ok(Self { writer: Some(writer), file: Some((file, part.into(), path.into())) })
    }

    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write_all(text))
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(mut writer) = self.writer.take() {
            writer.flush()?;
        }
        if let Some((file, part, path)) = &self.file {
            file.sync_all()?;
            fs::rename(part, path)?;
            self.file = None;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((_, part, _)) = &self.file {
            // Half a list is useless; if it cannot be removed, its name shows that.
            let _ = fs::remove_file(part);
        }
    }
}

/// The lines of a file that are not empty, with their numbers; `-` is standard input.
pub(super) fn lines(path: &Path) -> io::Result<impl Stream<Item = io::Result<(u64, String)>> + Send + Unpin> {
    let source: Box<dyn Read + Send> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let (sender, receiver) = mpsc::channel(AHEAD);
    // A separate thread, which the end of the process need not wait for: a terminal may never send anything.
    std::thread::spawn(move || {
        for (number, line) in (1..).zip(BufReader::new(source).lines()) {
            let line = line.map(|line| (number, line));
            let is_last = line.is_err();
            if line.as_ref().is_ok_and(|(_, line)| line.trim().is_empty()) {
                continue;
            }
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    Ok(Box::pin(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))))
}
