//! Shell programs of init containers as they run: a directory in the place of the machine's root, with stand-ins for programs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A directory with a volume, the files of a container, and the programs that it calls. It is removed on drop.
#[derive(Debug)]
pub struct Sandbox {
    root: PathBuf,
}

impl Default for Sandbox {
    fn default() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("temporal-stack-{}-{count}", std::process::id()));
        fs::create_dir_all(root.join("bin")).unwrap();
        let sandbox = Self { root };
        // A script that waits ends with its first pause.
        sandbox.program("sleep", "echo paused; kill $PPID");
        sandbox
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Sandbox {
    /// The path on this machine of a path of the container.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Writes a file of the container, and its directories.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Creates a directory of the container.
    pub fn directory(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    /// Replaces a path by one that returns an error, as a broken volume does: ELOOP, because EIO is hard to produce.
    pub fn broken(&self, path: &str) {
        let path = self.path(path);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&path, &path).unwrap();
    }

    /// A stand-in for a program, as lines of shell.
    pub fn program(&self, name: &str, lines: &str) {
        let path = self.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{lines}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The names in a directory of the container, sorted.
    pub fn entries(&self, path: &str) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
        let mut entries: Vec<String> = fs::read_dir(self.path(path)).unwrap().map(name).collect();
        entries.sort();
        entries
    }

    /// Whether a file of the container has this text.
    pub fn has(&self, path: &str, text: &str) -> bool {
        fs::read_to_string(self.path(path)).is_ok_and(|found| found == text)
    }

    /// Runs a program of this shell with these variables, of which those that begin with a slash are paths of the container, as
    /// are `paths` in the program. Returns whether it succeeded, and its output.
    pub fn run(&self, shell: &str, program: &str, paths: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
        let inside = |path: &str| self.path(path).to_string_lossy().into_owned();
        let program = paths.iter().fold(program.to_owned(), |program, path| program.replace(path, &inside(path)));
        let value = |value: &str| if value.starts_with('/') { inside(value) } else { value.to_owned() };
        let path = format!("{}:{}", inside("bin"), std::env::var("PATH").unwrap());
        let ran = Command::new(shell)
            .args(["-c", &program])
            .current_dir(Path::new("/"))
            .env_clear()
            .env("PATH", path)
            .envs(variables.iter().map(|(name, text)| (*name, value(text))))
            .output()
            .unwrap();
        let said = [ran.stdout, ran.stderr].map(|output| String::from_utf8_lossy(&output).into_owned()).concat();
        (ran.status.success(), said)
    }
}
