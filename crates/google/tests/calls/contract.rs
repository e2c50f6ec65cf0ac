//! Every request is one that the published description of its API allows.

use std::collections::BTreeMap;

use memcloud_google::*;
use memcloud_hostile_cloud::schemas;
use secrecy::SecretString;
use serde_json::Value;

use crate::service::{Asked, Service as Listener};

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("managed-by".into(), "memcloud".into())])
}

fn service() -> Service {
    let volumes = vec![
        Volume {
            name: "cloudsql".into(),
            cloud_sql_instance: Some(SqlVolume { instances: vec!["p:l:i".into()] }),
            secret: None,
        },
        Volume {
            name: "config".into(),
            cloud_sql_instance: None,
            secret: Some(SecretVolume {
                secret: "s".into(),
                items: vec![SecretItem { path: "f".into(), version: "1".into() }],
            }),
        },
    ];
    let probe = Probe {
        http_get: Some(HttpGet { path: "/health/live".into(), port: Some(8080) }),
        tcp_socket: None,
        initial_delay_seconds: Some(0),
        period_seconds: Some(10),
        timeout_seconds: Some(5),
        failure_threshold: Some(24),
    };
    let tcp = Probe { tcp_socket: Some(TcpSocket { port: 8080 }), ..Probe::default() };
    let container = Container {
        name: "memory".into(),
        image: "i@sha256:0".into(),
        command: vec!["memcloud".into()],
        args: vec!["serve".into()],
        ports: vec![ContainerPort { name: "http1".into(), container_port: 8080 }],
        env: vec![EnvVar::new("A", "b"), EnvVar::secret("C", "s", "1")],
        resources: Some(Resources {
            limits: BTreeMap::from([("cpu".into(), "1".into()), ("memory".into(), "1Gi".into())]),
            cpu_idle: true,
            startup_cpu_boost: true,
        }),
        startup_probe: Some(probe),
        liveness_probe: Some(tcp),
        volume_mounts: vec![VolumeMount { name: "cloudsql".into(), mount_path: "/cloudsql".into() }],
    };
    let scaling = Scaling { min_instance_count: Some(0), max_instance_count: Some(2) };
    let interface = NetworkInterface { network: "n".into(), subnetwork: "s".into(), tags: vec!["t".into()] };
    let read_only = r#"{"name": "n", "uri": "u", "reconciling": true, "generation": "2", "observedGeneration": "1",
        "latestCreatedRevision": "r", "latestReadyRevision": "r", "terminalCondition": {"type": "Ready"},
        "conditions": [{"type": "Ready"}]}"#;
    Service {
        description: "d".into(),
        labels: labels(),
        ingress: Some(Ingress::All),
        invoker_iam_disabled: Some(false),
        template: Template {
            revision: "s-1".into(),
            labels: labels(),
            service_account: "a@p".into(),
            execution_environment: "EXECUTION_ENVIRONMENT_GEN2".into(),
            timeout: "300s".into(),
            max_instance_request_concurrency: Some(40),
            scaling: Some(scaling),
            containers: vec![container],
            volumes,
            vpc_access: Some(VpcAccess {
                connector: String::new(),
                egress: Some(Egress::PrivateRangesOnly),
                network_interfaces: vec![interface],
            }),
        },
        traffic: vec![Traffic::latest(), Traffic::revision("s-1", 0)],
        scaling: Some(scaling),
        etag: "e".into(),
        // What is read only must not be sent, also where a service that was read is sent back.
        ..serde_json::from_str(read_only).unwrap()
    }
}

fn sql_instance() -> SqlInstance {
    SqlInstance {
        name: "i".into(),
        region: "us-central1".into(),
        database_version: "POSTGRES_16".into(),
        root_password: Some("x".to_owned().into()),
        settings: Settings {
            settings_version: None,
            edition: Some("ENTERPRISE".into()),
            tier: Some("db-f1-micro".into()),
            availability_type: Some("ZONAL".into()),
            data_disk_type: Some("PD_SSD".into()),
            data_disk_size_gb: Some(Int64(10)),
            storage_auto_resize: Some(true),
            activation_policy: Some("ALWAYS".into()),
            deletion_protection_enabled: Some(false),
            connector_enforcement: Some("REQUIRED".into()),
            ip_configuration: Some(IpConfiguration {
                ipv4_enabled: Some(true),
                private_network: Some("projects/p/global/networks/n".into()),
                allocated_ip_range: Some("r".into()),
                ssl_mode: Some("ENCRYPTED_ONLY".into()),
                server_ca_mode: Some("GOOGLE_MANAGED_INTERNAL_CA".into()),
            }),
            backup_configuration: Some(BackupConfiguration {
                enabled: true,
                start_time: "03:00".into(),
                point_in_time_recovery_enabled: Some(false),
            }),
            user_labels: labels(),
        },
        ..SqlInstance::default()
    }
}

async fn call_everything(cloud: &Cloud) {
    let secret: SecretString = "x".to_owned().into();
    let run = cloud.run("p", "l");
    let _ = run.create("s", &service()).await;
    let _ = run.put("s", &service()).await;
    let _ = run.patch("s", &service(), &["traffic", "template.scaling"]).await;
    let _ = run.get("s").await;
    let _ = run.list().await;
    let _ = run.revision("s", "s-1").await;
    let _ = run.grant("s", "roles/run.invoker", "allUsers").await;
    let _ = run.delete("s").await;

    let sql = cloud.sql("p");
    let _ = sql.insert(&sql_instance()).await;
    let _ = sql.get("i").await;
    let _ = sql.list("settings.userLabels.managed-by:memcloud").await;
    let settings = Settings { settings_version: Some(Int64(12)), ..sql_instance().settings };
    let _ = sql.patch("i", &settings).await;
    let _ = sql.delete("i", Some("the last one")).await;
    let _ = sql.insert_database("i", "d").await;
    let _ = sql.database("i", "d").await;
    let _ = sql.delete_database("i", "d").await;
    let _ = sql.insert_user("i", "u", &secret).await;
    let _ = sql.users("i").await;
    let _ = sql.set_password("i", "u", &secret).await;
    let _ = sql.delete_user("i", "u").await;
    let _ = sql.tiers().await;

    let secrets = cloud.secrets("p");
    let _ = secrets.create("s", &labels()).await;
    let _ = secrets.get("s").await;
    let _ = secrets.list("labels.managed-by=memcloud").await;
    let _ = secrets.add_version("s", &secret).await;
    let _ = secrets.access("s", "latest").await;
    let _ = secrets.versions("s").await;
    let _ = secrets.destroy("s", "1").await;
    let _ = secrets.grant("s", "roles/secretmanager.secretAccessor", "user:a@b.c").await;
    let _ = secrets.delete("s").await;

    let accounts = cloud.service_accounts("p");
    let _ = accounts.create("mc-account", "name", "description").await;
    let _ = accounts.get("a@p.iam.gserviceaccount.com").await;
    let _ = accounts.list().await;
    let _ = accounts.delete("a@p.iam.gserviceaccount.com").await;

    let project = cloud.project("p");
    let _ = project.get().await;
    let _ = project.missing_permissions(&["run.services.create"]).await;
    let _ = project.grant("roles/cloudsql.client", "user:a@b.c").await;
    let services = cloud.services("p");
    let _ = services.missing(&["run.googleapis.com", "sqladmin.googleapis.com"]).await;
    let _ = services.enable(&["run.googleapis.com"]).await;

    let images = cloud.images("p", "l");
    let mirror = DockerRepository { public_repository: "DOCKER_HUB".into() };
    let repository = Repository {
        format: "DOCKER".into(),
        mode: "REMOTE_REPOSITORY".into(),
        description: "d".into(),
        labels: labels(),
        remote_repository_config: Some(RemoteRepository { docker_repository: mirror }),
        registry_uri: "read only".into(),
    };
    let _ = images.create("r", &repository).await;
    let _ = images.get("r").await;
    let _ = images.delete("r").await;

    let aura = cloud.aura().unwrap();
    let instance = NewAuraInstance {
        version: "5".into(),
        region: "europe-west1".into(),
        memory: "1GB".into(),
        name: "n".into(),
        kind: "free-db".into(),
        tenant_id: "t".into(),
        cloud_provider: "gcp".into(),
    };
    let _ = aura.tenants().await;
    let _ = aura.tenant("t").await;
    let _ = aura.list("t").await;
    let _ = aura.create(&instance).await;
    let _ = aura.get("i").await;
    let _ = aura.pause("i").await;
    let _ = aura.resume("i").await;
    let _ = aura.delete("i").await;

    call_networks(cloud).await;
    call_machines(cloud).await;
}

async fn call_networks(cloud: &Cloud) {
    let compute = cloud.compute("p");
    let network = Network {
        name: "n".into(),
        description: "d".into(),
        auto_create_subnetworks: false,
        routing_config: Some(Routing { routing_mode: "REGIONAL".into() }),
        peerings: vec![Peer { name: "read only".into() }],
    };
    let _ = compute.networks().insert(&network).await;
    let _ = compute.networks().get("n").await;
    let _ = compute.networks().list("name eq mc-.*").await;
    let _ = compute.networks().remove_peering("n", Peering::NAME).await;
    let _ = compute.networks().delete("n").await;
    let subnetwork = Subnetwork {
        name: "s".into(),
        description: "d".into(),
        network: "projects/p/global/networks/n".into(),
        ip_cidr_range: "10.30.0.0/24".into(),
        private_ip_google_access: true,
    };
    let _ = compute.subnetworks("l").insert(&subnetwork).await;
    let _ = compute.subnetworks("l").get("s").await;
    let _ = compute.subnetworks("l").list("name eq mc-.*").await;
    let _ = compute.subnetworks("l").delete("s").await;
    let firewall = Firewall {
        name: "f".into(),
        description: "d".into(),
        network: "projects/p/global/networks/n".into(),
        direction: "INGRESS".into(),
        priority: 1000,
        source_ranges: vec!["10.30.0.0/24".into()],
        target_tags: vec!["t".into()],
        allowed: vec![Allowed { protocol: "tcp".into(), ports: vec!["7687".into()] }],
    };
    let _ = compute.firewalls().insert(&firewall).await;
    let _ = compute.firewalls().get("f").await;
    let _ = compute.firewalls().list("name eq mc-.*").await;
    let _ = compute.firewalls().delete("f").await;
    let range = Address {
        name: "r".into(),
        description: "d".into(),
        labels: labels(),
        address_type: "INTERNAL".into(),
        purpose: "VPC_PEERING".into(),
        prefix_length: Some(20),
        network: "projects/p/global/networks/n".into(),
        ..Address::default()
    };
    let _ = compute.global_addresses().insert(&range).await;
    let _ = compute.global_addresses().get("r").await;
    let _ = compute.global_addresses().list("name eq mc-.*").await;
    let _ = compute.global_addresses().delete("r").await;
    let address = Address {
        name: "a".into(),
        address_type: "INTERNAL".into(),
        purpose: "GCE_ENDPOINT".into(),
        address: "10.30.0.10".into(),
        subnetwork: "projects/p/regions/l/subnetworks/s".into(),
        ..Address::default()
    };
    let _ = compute.addresses("l").insert(&address).await;
    let _ = compute.addresses("l").get("a").await;
    let _ = compute.addresses("l").list("name eq mc-.*").await;
    let _ = compute.addresses("l").delete("a").await;
    let router = Router {
        name: "r".into(),
        description: "d".into(),
        network: "projects/p/global/networks/n".into(),
        nats: vec![Nat {
            name: "nat".into(),
            nat_ip_allocate_option: "AUTO_ONLY".into(),
            source_subnetwork_ip_ranges_to_nat: "ALL_SUBNETWORKS_ALL_IP_RANGES".into(),
        }],
    };
    let _ = compute.routers("l").insert(&router).await;
    let _ = compute.routers("l").get("r").await;
    let _ = compute.routers("l").delete("r").await;

    let peering = cloud.peering();
    let _ = peering.connect("projects/1/global/networks/n", &["r"]).await;
    let _ = peering.list("projects/1/global/networks/n").await;
    let _ = peering.delete("projects/1/global/networks/n").await;
    let connectors = cloud.connectors("p", "l");
    let connector = Connector {
        network: "n".into(),
        ip_cidr_range: "10.31.0.0/28".into(),
        machine_type: "e2-micro".into(),
        min_instances: 2,
        max_instances: 3,
        state: ConnectorState::Ready,
    };
    let _ = connectors.create("c", &connector).await;
    let _ = connectors.get("c").await;
    let _ = connectors.delete("c").await;
}

async fn call_machines(cloud: &Cloud) {
    let compute = cloud.compute("p");
    let _ = compute.zones("us-central1").await;
    let disk = Disk {
        name: "d".into(),
        description: "d".into(),
        kind: "projects/p/zones/z/diskTypes/pd-balanced".into(),
        size_gb: Int64(20),
        labels: labels(),
        users: vec!["read only".into()],
    };
    let _ = compute.disks("z").insert(&disk).await;
    let _ = compute.disks("z").get("d").await;
    let _ = compute.disks("z").add_schedule("d", "projects/p/regions/l/resourcePolicies/s").await;
    let _ = compute.disks("z").delete("d").await;
    let boot = NewDisk {
        source_image: "projects/cos-cloud/global/images/family/cos-stable".into(),
        disk_size_gb: Int64(10),
        disk_type: "zones/z/diskTypes/pd-balanced".into(),
    };
    let machine = Machine {
        name: "m".into(),
        description: "d".into(),
        machine_type: "zones/z/machineTypes/e2-medium".into(),
        tags: Some(Tags { items: vec!["t".into()] }),
        labels: labels(),
        disks: vec![
            AttachedDisk {
                boot: true,
                auto_delete: true,
                initialize_params: Some(boot),
                ..AttachedDisk::default()
            },
            AttachedDisk {
                device_name: "data".into(),
                source: "projects/p/zones/z/disks/d".into(),
                ..AttachedDisk::default()
            },
        ],
        network_interfaces: vec![MachineInterface {
            subnetwork: "projects/p/regions/l/subnetworks/s".into(),
            address: "10.30.0.10".into(),
        }],
        service_accounts: vec![MachineAccount { email: "a@p".into(), scopes: vec!["s".into()] }],
        metadata: Some(Metadata { items: vec![MetadataItem { key: "user-data".into(), value: "v".into() }] }),
        shielded_instance_config: Some(ShieldedMachine::default()),
        scheduling: Some(MachineScheduling {
            automatic_restart: true,
            on_host_maintenance: "MIGRATE".into(),
        }),
        status: MachineStatus::Running,
    };
    let machines = compute.machines("z");
    let _ = machines.insert(&machine).await;
    let _ = machines.get("m").await;
    let _ = machines.list("labels.managed-by=memcloud").await;
    let _ = machines.start("m").await;
    let _ = machines.stop("m").await;
    let _ = machines.serial_output("m", 0).await;
    let _ = machines.delete("m").await;
    let schedule = SnapshotSchedule {
        name: "s".into(),
        description: "d".into(),
        snapshot_schedule_policy: SnapshotPolicy {
            schedule: Schedule {
                daily_schedule: DailySchedule { days_in_cycle: 1, start_time: "04:00".into() },
            },
            retention_policy: Retention {
                max_retention_days: 7,
                on_source_disk_delete: "APPLY_RETENTION_POLICY".into(),
            },
        },
    };
    let _ = compute.snapshot_schedules("l").insert(&schedule).await;
    let _ = compute.snapshot_schedules("l").get("s").await;
    let _ = compute.snapshot_schedules("l").delete("s").await;

    let clusters = cloud.clusters("p", "l");
    let cluster = Cluster {
        name: "c".into(),
        description: "d".into(),
        autopilot: Autopilot { enabled: true },
        network: "n".into(),
        subnetwork: "s".into(),
        ip_allocation_policy: IpAllocation { use_ip_aliases: true },
        release_channel: ReleaseChannel { channel: "REGULAR".into() },
        resource_labels: labels(),
        endpoint: "read only".into(),
        master_auth: MasterAuth::default(),
        status: ClusterStatus::Running,
    };
    let _ = clusters.create(&cluster).await;
    let _ = clusters.get("c").await;
    let _ = clusters.list().await;
    let _ = clusters.delete("c").await;
}

fn violation(asked: &Asked) -> Option<String> {
    let body = (asked.body != Value::Null).then_some(&asked.body);
    let checked = schemas::check(&asked.method, &asked.host, &asked.path, &asked.query, body);
    checked.err().map(|violation| format!("{} {}: {violation}", asked.method, asked.path))
}

#[tokio::test]
async fn every_request_is_as_its_api_is_described() {
    let listener = Listener::start([]).await;
    call_everything(&listener.cloud()).await;
    let asked = listener.asked();
    let violations: Vec<_> = asked.iter().filter_map(violation).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    // All kinds of calls arrived, on all hosts.
    let hosts: std::collections::BTreeSet<_> = asked.iter().map(|asked| asked.host.as_str()).collect();
    assert_eq!(hosts.len(), 12, "{hosts:?}");
    assert!(asked.len() > 95, "{}", asked.len());
}

#[tokio::test]
async fn changes_of_compute_engine_have_ids() {
    let listener = Listener::start([]).await;
    call_everything(&listener.cloud()).await;
    let changes = listener
        .asked()
        .into_iter()
        .filter(|asked| asked.host == Api::Compute.host() && asked.method != "GET");
    let ids: Vec<_> = changes.map(|asked| asked.query).collect();
    assert!(ids.iter().all(|query| query.starts_with("requestId=")), "{ids:?}");
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn names_are_compared_without_their_project() {
    assert!(same_name("projects/123/secrets/s", "projects/p/secrets/s"));
    let link = "https://www.googleapis.com/compute/v1/projects/p/global/networks/n";
    assert!(same_name(link, "projects/123/global/networks/n"));
    assert!(!same_name("projects/p/secrets/s", "projects/p/secrets/t"));
    assert!(!same_name("projects/p/secrets/s", "s"));
}
