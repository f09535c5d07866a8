// From what the form holds to what the API is sent.

/** Without the filter, which is sent as it was typed. `rerank` and paging exclude each other. */
export function makeRequest(asked) {
  const request = {
    mode: asked.mode,
    top_k: Number(asked.top_k),
    include: ["content", "metadata", "scores"],
    highlight: true,
    ...(asked.rerank ? { rerank: true } : { paging: true }),
  };
  if (asked.like) request.like = { chunk_id: asked.like };
  else request.query = asked.query;
  for (const name of ["min_score", "diversity", "neighbors"]) {
    if (asked[name] !== "") request[name] = Number(asked[name]);
  }
  if (asked.per_group !== "") Object.assign(request, { group_by: "document", per_group: Number(asked.per_group) });
  if (asked.mode === "hybrid") request.fusion = makeFusion(asked);
  for (const name of ["exact", "explain"]) {
    if (asked[name]) request[name] = true;
  }
  return request;
}

function makeFusion({ fusion, vector_weight: weight }) {
  return fusion === "convex" && weight !== "" ? { method: fusion, vector_weight: Number(weight) } : { method: fusion };
}

/** The field of the form that a field of the request comes from: `filter.year.$gt` stands at the filter. */
export function nameField(path) {
  const text = String(path);
  if (text.startsWith("fusion.vector_weight")) return "vector_weight";
  const name = text.split(/[.[]/, 1)[0];
  return { like: "query", group_by: "per_group" }[name] ?? name;
}
