// What is asked stands in the address after `#`, so that it can be shared, and Back works. The key does not.

/** Everything that can be asked, by the name of its field; all texts. What is as here is left out of the address. */
export const DEFAULTS = {
  query: "",
  like: "",
  like_title: "",
  mode: "hybrid",
  filter: "",
  top_k: "10",
  min_score: "",
  per_group: "",
  diversity: "",
  neighbors: "",
  fusion: "convex",
  vector_weight: "",
  exact: "",
  rerank: "",
  explain: "",
};

/** `collections`: those to search, none for all. */
export function readAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  const asked = { collections: [...new Set(values.getAll("collection").filter(Boolean))] };
  for (const [name, usual] of Object.entries(DEFAULTS)) asked[name] = values.get(name) ?? usual;
  return asked;
}

export function writeAddress(asked) {
  const values = new URLSearchParams(asked.collections.map((name) => ["collection", name]));
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (asked[name] !== usual) values.set(name, asked[name]);
  }
  const hash = `#${values}`;
  if (hash !== location.hash) history.pushState(null, "", hash);
}

export function clearAddress() {
  history.replaceState(null, "", location.pathname + location.search);
}
