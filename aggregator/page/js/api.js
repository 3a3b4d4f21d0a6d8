// REST: JSON in and out, the session's word on whatever changes something, problems as they are told.

let me = { name: "", role: "public", csrf: "" };
export const who = () => me;
export const may = (...roles) => roles.includes(me.role);
export const OPERATORS = ["operator", "engineer", "admin"];

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail || told.title || String(status));
    this.status = status;
    this.told = told;
  }
}

async function answer(response) {
  if (response.status === 204) return null;
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, told);
  return told;
}

export async function get(path, query = {}) {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== undefined));
  return answer(await fetch(`/api/v1${path}${words.size ? `?${words}` : ""}`, { headers: { accept: "application/json" } }));
}

export async function send(method, path, body) {
  const headers = { "x-csrf-token": me.csrf };
  if (body !== undefined) headers["content-type"] = "application/json";
  return answer(await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }));
}

export async function refresh() {
  me = await get("/session");
  return me;
}

export function taken(session) {
  me = session;
}
