//! Networks, peerings and machines.

use std::time::Duration;

use memcloud_hostile_cloud::{Faults, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{COMPUTE, Client, instance};

const PEERINGS: &str =
    "servicenetworking.googleapis.com/v1/services/servicenetworking.googleapis.com/connections";

/// A network with a subnetwork and a reserved range.
async fn network(client: &Client) {
    let network = json!({"name": "n", "autoCreateSubnetworks": false});
    let subnetwork = json!({"name": "s", "network": "projects/memcloud-fake/global/networks/n", "ipCidrRange": "10.30.0.0/24"});
    let range = json!({
        "name": "r", "purpose": "VPC_PEERING", "addressType": "INTERNAL", "prefixLength": 20,
        "network": "projects/memcloud-fake/global/networks/n",
    });
    for (path, body) in [
        ("global/networks", network),
        ("regions/us-central1/subnetworks", subnetwork),
        ("global/addresses", range),
    ] {
        assert_eq!(client.compute(Method::POST, path, Some(body)).await, json!(null));
    }
}

#[tokio::test]
async fn what_another_resource_uses_is_not_deleted() {
    let client = Client::of(Options::default().without_processes()).await;
    network(&client).await;
    let delete =
        async |path: &str| client.send(Method::DELETE, &format!("{COMPUTE}/{path}"), None).await.unwrap();
    let (status, answer) = delete("global/networks/n").await;
    assert_eq!(
        (status, &answer["error"]["errors"][0]["reason"]),
        (400, &json!("resourceInUseByAnotherResource"))
    );
    for path in ["regions/us-central1/subnetworks/s", "global/addresses/r", "global/networks/n"] {
        assert_eq!(client.compute(Method::DELETE, path, None).await, json!(null));
    }
    assert!(client.cloud.resources().is_empty());
}

#[tokio::test]
async fn a_request_with_the_same_id_is_the_same_request() {
    let client = Client::of(Options::default().without_processes()).await;
    let path = format!("{COMPUTE}/global/networks?requestId=7d9e2f2c-4d0e-4f3a-9c55-0a4c2d1f6b10");
    let body = json!({"name": "n", "autoCreateSubnetworks": false});
    let (_, first) = client.post(&path, body.clone()).await;
    let (status, second) = client.post(&path, body.clone()).await;
    assert_eq!((status, &second["name"]), (200, &first["name"]));
    assert_eq!(client.post(&format!("{COMPUTE}/global/networks"), body).await.0, 409);
}

#[tokio::test]
async fn a_peering_outlives_its_database_until_it_is_removed_from_the_network() {
    let client = Client::of(Options::default().without_processes()).await;
    network(&client).await;
    let number = format!("projects/{}/global/networks/n", client.cloud.number());
    let mut database = instance("one");
    database["settings"]["ipConfiguration"] =
        json!({"ipv4Enabled": false, "privateNetwork": "projects/memcloud-fake/global/networks/n"});
    let instances = "sqladmin.googleapis.com/v1/projects/P/instances";
    assert_eq!(client.post(instances, database.clone()).await.0, 400, "the network is not peered");

    let by_id =
        json!({"network": "projects/memcloud-fake/global/networks/n", "reservedPeeringRanges": ["r"]});
    assert_eq!(client.post(PEERINGS, by_id).await.0, 400, "the project is given by its id");
    let done = async |operation: &Value| {
        let path = format!("servicenetworking.googleapis.com/v1/{}", operation["name"].as_str().unwrap());
        client.get(&path).await.1
    };
    let (_, operation) =
        client.post(PEERINGS, json!({"network": number, "reservedPeeringRanges": ["r"]})).await;
    assert_eq!(done(&operation).await["done"], true);
    let (_, operation) = client.post(instances, database).await;
    client.done(&operation).await;
    let (_, operation) = client.send(Method::DELETE, &format!("{instances}/one"), None).await.unwrap();
    client.done(&operation).await;

    let remove = format!("{PEERINGS}/servicenetworking-googleapis-com");
    let (_, operation) = client.post(&remove, json!({"consumerNetwork": number})).await;
    assert_eq!(done(&operation).await["error"]["code"], 9);
    let peering = json!({"name": "servicenetworking-googleapis-com"});
    assert_eq!(
        client.compute(Method::POST, "global/networks/n/removePeering", Some(peering)).await,
        json!(null)
    );
    assert_eq!(client.get(&format!("{PEERINGS}?network={number}")).await.1, json!({}));
}

#[tokio::test]
async fn a_subnetwork_keeps_the_addresses_of_a_service_for_a_while() {
    let mut client = Client::of(Options::default().without_processes().server("/bin/true")).await;
    network(&client).await;
    client.post("iam.googleapis.com/v1/projects/P/serviceAccounts", json!({"accountId": "runtime"})).await;
    let interface = json!({"network": "n", "subnetwork": "s"});
    let body = json!({"template": {
        "serviceAccount": "runtime@memcloud-fake.iam.gserviceaccount.com",
        "containers": [{"image": client.cloud.image()}],
        "vpcAccess": {"egress": "PRIVATE_RANGES_ONLY", "networkInterfaces": [interface]},
    }});
    let services = "run.googleapis.com/v2/projects/P/locations/us-central1/services";
    let (_, operation) = client.post(&format!("{services}?serviceId=one"), body).await;
    let path = format!("run.googleapis.com/v2/{}", operation["name"].as_str().unwrap());
    assert_eq!(client.get(&path).await.1["response"]["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    client.cloud.set_faults(Faults::Some);
    let delete = async |client: &Client, path: &str| loop {
        // Some requests are throttled.
        let answer = client.send(Method::DELETE, path, None).await.unwrap();
        if answer.0 == 200 || answer.1["error"]["errors"][0]["reason"] == "resourceInUseByAnotherResource" {
            return answer;
        }
    };
    delete(&client, &format!("{services}/one")).await;
    while client.cloud.resources().iter().any(|name| name.contains("/services/")) {}
    let subnetwork = format!("{COMPUTE}/regions/us-central1/subnetworks/s");
    assert_eq!(delete(&client, &subnetwork).await.0, 400);
    client.cloud.advance(Duration::from_hours(2));
    client.sign_in().await;
    assert_eq!(delete(&client, &subnetwork).await.0, 200);
}

/// A machine that starts Neo4j, whose password is in a secret.
fn machine(kind: &str) -> Value {
    let data = "#cloud-config\nruncmd:\n- docker run neo4j with https://secretmanager.googleapis.com/v1/projects/P/secrets/password/versions/1:access\n";
    json!({
        "name": "m", "machineType": format!("zones/us-central1-a/machineTypes/{kind}"),
        "disks": [{"boot": true, "autoDelete": true, "initializeParams": {"diskSizeGb": "10"}}],
        "networkInterfaces": [{"subnetwork": "regions/us-central1/subnetworks/s", "networkIP": "10.30.0.10"}],
        "serviceAccounts": [{"email": "machine@memcloud-fake.iam.gserviceaccount.com"}],
        "metadata": {"items": [{"key": "user-data", "value": data}]},
    })
}

#[tokio::test]
async fn fault_a_machine_comes_up_when_it_has_what_neo4j_needs() {
    let client = Client::of(Options::default()).await;
    network(&client).await;
    let serial = async || {
        let (_, port) =
            client.get(&format!("{COMPUTE}/zones/us-central1-a/instances/m/serialPort?port=1")).await;
        port["contents"].as_str().unwrap().to_owned()
    };
    client.post("iam.googleapis.com/v1/projects/P/serviceAccounts", json!({"accountId": "machine"})).await;
    assert_eq!(
        client.compute(Method::POST, "zones/us-central1-a/instances", Some(machine("e2-medium"))).await,
        json!(null)
    );
    assert!(serial().await.contains("no route to the internet"));
    let router = json!({"name": "r", "network": "global/networks/n", "nats": [{"name": "nat", "natIpAllocateOption": "AUTO_ONLY"}]});
    assert_eq!(client.compute(Method::POST, "regions/us-central1/routers", Some(router)).await, json!(null));
    let secrets = "secretmanager.googleapis.com/v1/projects/P/secrets";
    client.post(&format!("{secrets}?secretId=password"), json!({"replication": {"automatic": {}}})).await;
    client
        .post(&format!("{secrets}/password:addVersion"), json!({"payload": {"data": "c2VjcmV0LXBhc3N3b3Jk"}}))
        .await;
    assert!(serial().await.contains("403"));
    let member = "serviceAccount:machine@memcloud-fake.iam.gserviceaccount.com";
    let binding = json!({"role": "roles/secretmanager.secretAccessor", "members": [member]});
    client
        .post(&format!("{secrets}/password:setIamPolicy"), json!({"policy": {"bindings": [binding]}}))
        .await;
    while !serial().await.contains("neo4j: INFO  Started.") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(client.cloud.process_count(), 1);
    for path in ["zones/us-central1-a/instances/m", "regions/us-central1/routers/r"] {
        assert_eq!(client.compute(Method::DELETE, path, None).await, json!(null));
    }
    assert_eq!(client.cloud.process_count(), 0);
    assert!(client.cloud.violations().is_empty(), "{:?}", client.cloud.violations());
}
