//! The scenes: two devices change one cart at the same time, and neither knows of the other.

use bytes::Bytes;
use dynamo_client::orset::OrSet;
use dynamo_client::resolve::{ObservedRemove, Resolve, Union};
use dynamo_client::{Client, Context, Error, ReadOptions, Value, WriteOptions};

/// What came of a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    /// The versions that stood side by side, item by item.
    pub(crate) versions: Vec<Vec<String>>,
    /// The cart after they were merged and written back.
    pub(crate) merged: Vec<String>,
}

/// Two adds at one time: their union has both.
pub(crate) async fn both_adds_stay(client: &Client) -> Result<Scene, Error> {
    let key = b"cart/union";
    let seen = begin(client, key, &lines(&["milk", "eggs"])).await?;
    // Both devices have seen the same cart, and write what they make of it.
    write(client, key, &lines(&["milk", "eggs", "bread"]), &seen).await?;
    write(client, key, &lines(&["milk", "eggs", "apples"]), &seen).await?;
    merge(client, key, &Union::LINES, of_lines).await
}

/// A remove and an add at one time: in the union the removed item is back, since the other version still has it.
pub(crate) async fn the_deleted_item_comes_back(client: &Client) -> Result<Scene, Error> {
    let key = b"cart/anomaly";
    let seen = begin(client, key, &lines(&["milk", "eggs"])).await?;
    write(client, key, &lines(&["eggs"]), &seen).await?;
    write(client, key, &lines(&["milk", "eggs", "apples"]), &seen).await?;
    merge(client, key, &Union::LINES, of_lines).await
}

/// The same with a set that remembers which adds were removed.
pub(crate) async fn the_deleted_item_stays_away(client: &Client) -> Result<Scene, Error> {
    let key = b"cart/observed-remove";
    let mut cart = OrSet::new();
    cart.add("milk");
    cart.add("eggs");
    let seen = begin(client, key, &cart.encode()).await?;
    let (mut phone, mut laptop) = (cart.clone(), cart);
    phone.remove(b"milk");
    laptop.add("apples");
    write(client, key, &phone.encode(), &seen).await?;
    write(client, key, &laptop.encode(), &seen).await?;
    merge(client, key, &ObservedRemove, of_set).await
}

/// Many devices at once: each update merges what it finds, and the last one finds all.
pub(crate) async fn no_add_of_many_is_lost(client: &Client, devices: usize) -> Result<Scene, Error> {
    let key = b"cart/many";
    let (read, put) = (ReadOptions::default(), WriteOptions::default());
    let add = async |item: Option<String>| {
        client
            .update(key, &read, &put, |siblings| {
                // What is no set was not written by this program; an empty cart would hide it, so it is left out.
                let sets = siblings.iter().filter_map(|sibling| OrSet::decode(&sibling.value).ok());
                let mut cart = sets.fold(OrSet::new(), |all, one| all.merge(&one));
                if let Some(item) = &item {
                    cart.add(item.clone());
                }
                Some(cart.encode())
            })
            .await
    };
    let items = (0..devices).map(|device| add(Some(format!("item {device:02}"))));
    for added in futures::future::join_all(items).await {
        added?;
    }
    merge(client, key, &ObservedRemove, of_set).await
}

/// A cart of these bytes where nothing is remembered, and the context of the one who has just seen it.
async fn begin(client: &Client, key: &[u8], value: &Bytes) -> Result<Context, Error> {
    let found = client.get(key, &ReadOptions::default()).await?;
    write(client, key, value, &found.context).await?;
    Ok(client.get(key, &ReadOptions::default()).await?.context)
}

async fn write(client: &Client, key: &[u8], value: &Bytes, seen: &Context) -> Result<(), Error> {
    client.put(key, value.clone(), seen, &WriteOptions::default()).await.map(drop)
}

/// Reads all versions, has them resolved, and writes the one that came of it in their place.
async fn merge(
    client: &Client,
    key: &[u8],
    resolve: &impl Resolve,
    items: fn(&Bytes) -> Result<Vec<String>, Error>,
) -> Result<Scene, Error> {
    let read = |value: &Value| -> Result<Vec<Vec<String>>, Error> {
        let versions = value.siblings.iter().map(|sibling| items(&sibling.value));
        versions.collect()
    };
    let found = client.get(key, &ReadOptions::default()).await?;
    let mut versions = read(&found)?;
    versions.sort();
    let resolved = client.get_resolved(key, &ReadOptions::default(), resolve).await?;
    for sibling in &resolved.siblings {
        write(client, key, &sibling.value, &resolved.context).await?;
    }
    let merged = read(&client.get(key, &ReadOptions::default()).await?)?;
    Ok(Scene { versions, merged: merged.into_iter().flatten().collect() })
}

fn lines(items: &[&str]) -> Bytes {
    items.join("\n").into()
}

fn of_lines(value: &Bytes) -> Result<Vec<String>, Error> {
    let text = std::str::from_utf8(value).map_err(|why| Error::Answer(why.to_string()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn of_set(value: &Bytes) -> Result<Vec<String>, Error> {
    let set = OrSet::decode(value).map_err(|why| Error::Answer(why.to_string()))?;
    Ok(set.items().map(|item| String::from_utf8_lossy(item).into_owned()).collect())
}
