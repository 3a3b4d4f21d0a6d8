// Who may come in: invite by a one-time link, change, remove; tokens for programs.

import { get, send } from "../api.js";
import { ask, el, put, scroll, table } from "../dom.js";
import { moment, t } from "../words.js";

const ROLES = ["viewer", "operator", "engineer", "admin", "auditor"];

export async function show(main, shared) {
  const users = scroll(t("view.users")), tokens = scroll(t("users.tokens")), secret = el("div");
  const told = (text, value) => put(secret, el("div", { class: "problem p4", role: "status" }, `${text}\n`, el("code", {}, value)));
  const doing = (act) => async () => { try { await act(); await load(); } catch (error) { shared.problem(error); } };
  const role = (value, onchange) => el("select", { "aria-label": t("users.role"), onchange }, ROLES.map((one) => el("option", { value: one, selected: one === value }, t(`role.${one}`))));

  async function invite(kind) {
    const wish = await ask(t(`users.new-${kind}`), [{ name: "name", label: t("users.name"), required: true }], { yes: t("users.make"), no: t("cancel") });
    if (!wish) return;
    const chosen = kind === "user" ? "operator" : "viewer";
    if (kind === "user") told(t("users.link"), `${location.origin}/welcome#${(await send("POST", "/users", { name: wish.name, role: chosen })).link}`);
    else told(t("users.token"), (await send("POST", "/tokens", { name: wish.name, role: chosen })).token);
  }

  async function load() {
    const [people, programs] = await Promise.all([get("/users"), get("/tokens")]);
    put(users, table([
      { name: t("users.name"), of: (one) => el("strong", {}, one.name) }, { name: t("users.role"), of: (one) => role(one.role, (event) => doing(() => send("PATCH", `/users/${one.name}`, { role: event.target.value }))()) },
      { name: t("users.seen"), of: (one) => moment(one.seen) }, { name: t("users.origin"), of: (one) => one.origin },
      { name: "", of: (one) => el("div", { class: "row" }, el("button", { onclick: doing(() => send("PATCH", `/users/${one.name}`, { enabled: !one.enabled })) }, one.enabled ? t("users.disable") : t("users.enable")),
        el("button", { class: "danger", onclick: doing(() => send("DELETE", `/users/${one.name}`)) }, t("users.remove"))) },
    ], people.items, { label: t("view.users") }));
    put(tokens, programs.items.length ? table([
      { name: t("users.name"), of: (one) => one.name }, { name: t("users.role"), of: (one) => t(`role.${one.role}`) }, { name: t("users.until"), of: (one) => moment(one.until) }, { name: t("users.seen"), of: (one) => moment(one.seen) },
      { name: "", of: (one) => el("button", { class: "danger", onclick: doing(() => send("DELETE", `/tokens/${one.name}`)) }, t("users.revoke")) },
    ], programs.items, { label: t("users.tokens") }) : el("p", { class: "soft" }, t("users.no-tokens")));
  }

  put(main, el("div", { class: "page" }, el("div", { class: "row" }, el("h1", { class: "grow" }, t("view.users")), el("button", { class: "main", onclick: doing(() => invite("user")) }, t("users.new-user"))), secret,
    el("div", { class: "card" }, users), el("div", { class: "card" }, el("div", { class: "row" }, el("h2", { class: "grow" }, t("users.tokens")), el("button", { onclick: doing(() => invite("token")) }, t("users.new-token"))), tokens)));
  await load();
  return null;
}
