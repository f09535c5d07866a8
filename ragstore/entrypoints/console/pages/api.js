// The calls this page makes, and their failures as one kind of error.

const COLLECTIONS_PER_PAGE = 200;

/** `fields` names each wrong field of the request: `{path, message}`. `status` is 0 when no answer came. */
export class Problem extends Error {
  constructor(status, title, { detail = "", fields = [], requestId = null, retryAfter = null } = {}) {
    super(detail || title);
    Object.assign(this, { status, title, fields, requestId, retryAfter });
  }

  /** Whether the same call may work later. */
  get mayPass() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  constructor(key) {
    this.key = key;
  }

  /** Page by page, as they arrive. */
  async *listCollections(signal) {
    let cursor = null;
    do {
      const query = new URLSearchParams({ limit: COLLECTIONS_PER_PAGE });
      if (cursor !== null) query.set("cursor", cursor);
      const page = await this.call("GET", `v1/collections?${query}`, { signal });
      yield page.items;
      cursor = page.next_cursor;
    } while (cursor !== null && cursor !== undefined);
  }

  /** One collection, or several in one list. `filter` is JSON text that was checked, and is sent as typed: JavaScript
   * would round its large numbers. */
  search(collections, request, filter, signal) {
    const isOne = collections.length === 1;
    const path = isOne ? `v1/collections/${encodeURIComponent(collections[0])}/search` : "v1/search";
    let body = JSON.stringify(isOne ? request : { ...request, collections });
    if (filter) body = `${body.slice(0, -1)},"filter":${filter}}`;
    return this.call("POST", path, { body, signal });
  }

  async call(method, path, { body, signal } = {}) {
    const headers = { Accept: "application/json", Authorization: `Bearer ${this.key}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response, text;
    try {
      response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
      text = await response.text();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, "The service does not answer.", { detail: "It may be stopped or starting, or this machine is not connected." });
    }
    const answer = parse(text);
    if (!response.ok) throw toProblem(response, answer);
    if (answer === undefined) throw new Problem(response.status, "The answer is not JSON: is this the right address?");
    return answer;
  }
}

function parse(text) {
  try {
    return JSON.parse(text, keepLargeNumbers);
  } catch {
    return undefined;
  }
}

/** Integers JavaScript would round keep their digits, where the browser can. */
function keepLargeNumbers(key, value, context) {
  const rounded = Number.isInteger(value) && !Number.isSafeInteger(value);
  return rounded && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
}

function toProblem(response, answer) {
  const said = answer !== null && typeof answer === "object" ? answer : {};
  return new Problem(response.status, said.title ?? `The service answered ${response.status}.`, {
    detail: said.detail,
    fields: Array.isArray(said.errors) ? said.errors : [],
    requestId: said.request_id ?? response.headers.get("x-request-id"),
    retryAfter: response.headers.get("retry-after"),
  });
}
