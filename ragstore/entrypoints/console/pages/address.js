// What is asked stands in the address after `#`, so that it can be shared, and Back works. The key does not.

export const DEFAULT_TOP_K = "10";

export function readAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  return {
    collection: values.get("collection") ?? "",
    query: values.get("query") ?? "",
    topK: values.get("top_k") ?? DEFAULT_TOP_K,
    filter: values.get("filter") ?? "",
  };
}

export function writeAddress({ collection, query, topK, filter }) {
  const values = new URLSearchParams({ collection, query });
  if (topK !== DEFAULT_TOP_K) values.set("top_k", topK);
  if (filter !== "") values.set("filter", filter);
  const hash = `#${values}`;
  if (hash !== location.hash) history.pushState(null, "", hash);
}

export function clearAddress() {
  history.replaceState(null, "", location.pathname + location.search);
}
