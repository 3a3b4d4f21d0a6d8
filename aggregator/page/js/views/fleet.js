// The fleet: every gateway, how it is, what waits there, its clock, its certificate, its disk.

import { get } from "../api.js";
import { el, put, scroll, table } from "../dom.js";
import { moment, named, number, t } from "../words.js";

const DAY_MS = 86400e3;

export async function show(main, shared) {
  const box = scroll(t("view.fleet"));

  async function load() {
    const { items } = await get("/fleet");
    put(box, items.length ? table([
      { name: t("gateway"), of: (one) => [el("strong", {}, one.gateway), el("div", { class: "soft small" }, one.district)] },
      { name: t("alarms.state"), of: (one) => [el("span", { class: `tag ${one.online ? "good" : "urgent"}` }, one.online ? `● ${t("fleet.online")}` : `○ ${named("state", one.state)}`), el("div", { class: "soft small" }, one.why || moment(one.since))] },
      { name: t("fleet.last"), of: (one) => moment(one.last_batch) },
      { name: t("fleet.backlog"), number: true, of: (one) => `${number(one.backlog_batches)} · ${bytes(one.backlog_bytes)}` },
      { name: t("fleet.clock"), number: true, of: (one) => (one.clock_error_s === null ? "–" : [`± ${number(one.clock_error_s * 1000)} ms`, el("div", { class: "soft small" }, one.clock_source)]) },
      { name: t("fleet.certificate"), number: true, of: (one) => (one.certificate_until ? t("fleet.days", { days: number((new Date(one.certificate_until) - Date.now()) / DAY_MS) }) : "–") },
      { name: t("fleet.disk"), number: true, of: (one) => bytes(one.gauges.hardware_disk_free_bytes) },
      { name: t("fleet.wear"), number: true, of: (one) => (one.gauges.hardware_disk_wear_percent === undefined ? "–" : `${number(one.gauges.hardware_disk_wear_percent)} %`) },
      { name: t("fleet.memory"), number: true, of: (one) => bytes(one.gauges.hardware_memory_resident_bytes ?? one.gauges.process_resident_bytes) },
      { name: t("fleet.software"), of: (one) => one.software },
    ], items, { label: t("view.fleet") }) : el("p", { class: "soft" }, t("fleet.none")));
  }

  put(main, el("div", { class: "page" }, el("h1", {}, t("view.fleet")), el("div", { class: "card" }, box)));
  await load();
  const timer = setInterval(load, 5000);
  shared.live.addEventListener("fleet", load);
  return () => { clearInterval(timer); shared.live.removeEventListener("fleet", load); };
}

function bytes(count) {
  if (count === undefined || count === null) return "–";
  const step = Math.min(4, Math.floor(Math.log2(Math.max(count, 1)) / 10));
  return `${number(count / 1024 ** step)} ${["B", "KiB", "MiB", "GiB", "TiB"][step]}`;
}
