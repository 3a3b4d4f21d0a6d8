// The page begins here: who is there, which language and theme, which view; and the one live stream.

import { get, may, OPERATORS, Problem, refresh, send, who } from "./api.js";
import { ask, el, put, say } from "./dom.js";
import { Live } from "./live.js";
import { current, LANGUAGES, moment, speak, t } from "./words.js";

const VIEWS = {
  "/": ["map", () => import("./views/map.js")],
  "/alarms": ["alarms", () => import("./views/alarms.js")],
  "/decisions": ["decisions", () => import("./views/decisions.js")],
  "/scenarios": ["scenarios", () => import("./views/scenarios.js")],
  "/fleet": ["fleet", () => import("./views/fleet.js")],
  "/models": ["models", () => import("./views/models.js")],
  "/ledger": ["ledger", () => import("./views/ledger.js"), ["auditor", "admin"]],
  "/users": ["users", () => import("./views/users.js"), ["admin"]],
};
const main = document.getElementById("main"), head = document.getElementById("head");
const shared = { city: null, live: null, counts: {}, problem };
let leave = null; // what the view that is shown wants done before it goes

function dark() {
  const chosen = localStorage.getItem("theme") ?? "auto";
  document.documentElement.dataset.theme = chosen;
  const is = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.toggleAttribute("data-dark", is);
  return is;
}
shared.dark = dark;

export function go(path) { history.pushState(null, "", path); show(); }
shared.go = go;

function problem(error) {
  if (error instanceof Problem && error.status === 401) { location.assign("/"); return; }
  const faults = (error.told?.faults ?? []).map((one) => `${one.at}: ${one.wrong}`).join("\n");
  const told = el("div", { class: "problem", role: "alert" }, `${error.message}${faults && !error.message.includes(faults) ? `\n${faults}` : ""}`);
  (main.querySelector(".page") ?? main).prepend(told);
  told.scrollIntoView({ block: "nearest" });
  setTimeout(() => told.remove(), 12000);
}

function links() {
  return Object.entries(VIEWS).filter(([, [, , roles]]) => !roles || may(...roles)).map(([path, [name]]) =>
    el("a", { href: path, "aria-current": location.pathname === path ? "page" : undefined, onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(path);
    } }, t(`view.${name}`), shared.counts[name] ? el("span", { class: "count" }, String(shared.counts[name])) : null));
}

function drawHead() {
  document.querySelector(".skip").textContent = t("skip");
  const brand = el("a", { class: "brand", href: "/" }, el("img", { src: "/page/icon.svg", alt: "" }), `citytwin${shared.city ? ` · ${shared.city.name}` : ""}`);
  const language = el("select", { "aria-label": t("language"), onchange: (event) => { speak(event.target.value); drawHead(); show(); } },
    Object.entries(LANGUAGES).map(([code, name]) => el("option", { value: code, selected: code === current() }, name)));
  const theme = el("select", { "aria-label": t("theme"), onchange: (event) => { localStorage.setItem("theme", event.target.value); dark(); show(); } },
    ["auto", "light", "dark"].map((one) => el("option", { value: one, selected: one === (localStorage.getItem("theme") ?? "auto") }, t(`theme.${one}`))));
  if (who().role === "public") { put(head, brand, el("span", { class: "grow" }), language, theme); return; }
  const link = el("span", { class: `link${shared.live?.on ? "" : " off"}`, role: "status" }, shared.live?.on ? t("link.on") : t("link.off"));
  put(head, brand, el("nav", { "aria-label": t("views") }, links()), el("span", { class: "grow" }), link, language, theme,
    el("span", { class: "soft small wide" }, `${who().name} · ${t(`role.${who().role}`)}`),
    el("button", { onclick: signOut }, t("sign-out")),
    may(...OPERATORS) ? el("button", { class: "danger", onclick: stopAll }, t("all-stop")) : null);
}

async function signOut() {
  await send("DELETE", "/session").catch(() => null);
  location.assign("/");
}

async function stopAll() {
  const told = await ask(t("all-stop.title"), [{ name: "why", label: t("why"), required: true }], { yes: t("all-stop.yes"), no: t("cancel") }, true);
  if (!told) return;
  try {
    const { gateways } = await send("POST", "/orders/all-stop", { why: told.why });
    say(t("all-stop.done", { count: gateways.length }));
    show();
  } catch (error) { problem(error); }
}

async function counts() {
  try {
    const [alarms, decisions] = await Promise.all([get("/alarms"), get("/decisions")]);
    const waiting = alarms.items.filter((one) => one.state === "unacknowledged");
    if (waiting.length > (shared.counts.alarms ?? 0)) say(t("alarms.new", { count: waiting.length, first: `${waiting[0].asset} ${waiting[0].condition}` }));
    shared.counts = { alarms: waiting.length, decisions: decisions.items.filter((one) => one.state === "proposed").length };
    shared.alarms = alarms.items;
    put(head.querySelector("nav"), links());
    shared.onalarms?.(alarms.items);
  } catch (error) { if (error.status !== 404) throw error; }
}

async function show() {
  leave?.();
  leave = null;
  const [name, load] = VIEWS[location.pathname] ?? VIEWS["/"];
  document.title = `${t(`view.${name}`)} · citytwin`;
  put(head.querySelector("nav") ?? el("nav"), links());
  put(main, el("p", { class: "page soft" }, t("loading")));
  try {
    leave = await (await load()).show(main, shared);
  } catch (error) { put(main); problem(error); }
}

async function begin() {
  dark();
  const me = await refresh();
  if (me.role === "public" || location.pathname === "/welcome") {
    drawHead();
    await (await import("./views/enter.js")).show(main, shared, location.pathname === "/welcome" ? location.hash.slice(1) : "");
    return;
  }
  shared.city = await get("/city").catch((error) => { if (error.status === 404) return null; throw error; });
  shared.live = new Live(shared.city ? shared.city.domains.map((one) => one.name) : []);
  shared.live.watch("alarms", "decisions", "fleet");
  drawHead();
  for (const event of ["alarms", "decisions"]) shared.live.addEventListener(event, counts);
  shared.live.addEventListener("link", ({ detail }) => { drawHead(); say(detail ? t("link.on") : t("link.off")); });
  shared.live.addEventListener("denied", () => location.assign("/"));
  addEventListener("popstate", show);
  await show();
  counts();
}

shared.moment = moment;
begin().catch((error) => put(main, el("div", { class: "problem page", role: "alert" }, error.message)));
