//! The daemon that is measured.

use std::error::Error;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::api::DeleteMicroVmRequest;
use capstead_flintlock::api::GetMicroVmRequest;
use capstead_flintlock::api::micro_vm_client::MicroVmClient;
use capstead_flintlock::json as wire;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use serde_json::json;
use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

use crate::Outcome;
use crate::PATIENCE;
use crate::support::host::HostDaemon;
use crate::support::kernel;

pub struct Daemon {
    host: HostDaemon,
    images: PathBuf,
}

impl Daemon {
    pub fn start(state: &Path, images: &Path) -> Self {
        let program = std::env::var("CAPSTEAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_capstead").to_owned());
        let local = images.to_string_lossy();
        let flags: [&str; 6] = ["--deleteMicroVM-timeout", "10ms", "--debug-endpoint", "127.0.0.1:0", "--local-images", &local];
        let host = HostDaemon::start_of(program, state, &flags, None);
        Self { host, images: images.to_owned() }
    }

    pub fn state(&self) -> &Path {
        &self.host.state
    }

    pub async fn client(&self) -> Outcome<MicroVmClient<Channel>> {
        let endpoint = Endpoint::try_from(format!("http://{}", self.host.address))?;
        Ok(MicroVmClient::new(endpoint.connect().await?).max_decoding_message_size(64 << 20))
    }

    /// Asks for a microVM of this image; gives its uid.
    pub fn create(&self, runtime: &Runtime, name: &str, image: &str) -> Outcome<String> {
        let kernel = format!("oci:{}", self.images.join("small").display());
        let root = match image {
            // Nobody listens there.
            "nowhere" => "127.0.0.1:1/nowhere:1".to_owned(),
            image => format!("oci:{}", self.images.join(image).display()),
        };
        let spec: MicroVmSpec = wire::read(
            json!({
                "id": name, "namespace": "bench", "vcpu": 1,
                "kernel": {"image": kernel, "filename": "vmlinux"},
                "root_volume": {"id": "root", "source": {"container_source": root}},
                "interfaces": [{"device_id": "eth0", "type": "TAP", "overrides": {"bridge_name": "user"}}],
            }),
            true,
        )?;
        runtime.block_on(async {
            let made = self.client().await?.create_micro_vm(CreateMicroVmRequest { microvm: Some(spec), ..Default::default() }).await?;
            let uid = made.into_inner().microvm.and_then(|microvm| microvm.spec?.uid);
            uid.ok_or_else(|| Box::<dyn Error>::from("a microVM without a uid"))
        })
    }

    fn get(&self, runtime: &Runtime, uid: &str) -> Outcome<Option<MicroVm>> {
        runtime.block_on(async {
            match self.client().await?.get_micro_vm(GetMicroVmRequest { uid: uid.to_owned() }).await {
                Ok(got) => Ok(got.into_inner().microvm),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(status.into()),
            }
        })
    }

    /// Waits until it runs.
    pub fn runs(&self, runtime: &Runtime, uid: &str) -> Outcome<()> {
        let state = |microvm: Option<MicroVm>| microvm.and_then(|microvm| Some(microvm.status?.state()));
        wait("a microVM runs", || self.get(runtime, uid).is_ok_and(|microvm| state(microvm) == Some(MicroVmState::Created)))
    }

    /// Deletes it, and waits until it is gone.
    pub fn delete(&self, runtime: &Runtime, uid: &str) -> Outcome<()> {
        runtime.block_on(async {
            self.client().await?.delete_micro_vm(DeleteMicroVmRequest { uid: uid.to_owned() }).await?;
            Ok::<_, Box<dyn Error>>(())
        })?;
        wait("a microVM is gone", || self.get(runtime, uid).is_ok_and(|microvm| microvm.is_none()))
    }

    /// The log of its guest's console.
    pub fn serial(&self, uid: &str) -> PathBuf {
        self.host.serial(uid)
    }

    /// Its root disk.
    pub fn disk(&self, uid: &str) -> PathBuf {
        let vm = self.host.state.join("vm").join(uid);
        let base = vm.join("root.base");
        if base.exists() { base } else { vm.join("root.img") }
    }

    /// The words by which its VMM was started.
    pub fn command(&self, uid: &str) -> Outcome<Vec<String>> {
        let pid = self.host.vmm(uid).ok_or_else(|| format!("no process runs {uid}"))?;
        let line = fs::read(format!("/proc/{pid}/cmdline"))?;
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        Ok(words.filter(|word| !word.is_empty()).collect())
    }

    /// How long all of these steps took together, in seconds.
    pub fn step(&self, step: &str) -> Outcome<f64> {
        let mut stream = TcpStream::connect(self.host.told("debug").ok_or("it serves no metrics")?)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: bench\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let name = format!("capstead_host_step_seconds_sum{{step=\"{step}\"}} ");
        Ok(text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default())
    }

    /// Memory that is the daemon's own, in MB.
    pub fn memory(&self) -> f64 {
        kernel::anonymous_memory(self.host.pid()) as f64 / 1e6
    }
}

fn wait(what: &str, so: impl Fn() -> bool) -> Outcome<()> {
    let started = Instant::now();
    while !so() {
        if started.elapsed() > PATIENCE {
            return Err(format!("not within {PATIENCE:?}: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
