// Curves: estimated with its band, raw beside it, and what is expected, on one axis of time.

import uPlot from "/page/vendor/uplot-1.6.32/uPlot.esm.js";
import { current, number, t } from "./words.js";

const Z90 = 1.645;

function style(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// Values of several courses on the union of their times.
function joined(courses) {
  const times = [...new Set(courses.flatMap((one) => one.t))].sort((a, b) => a - b);
  const place = new Map(times.map((one, k) => [one, k]));
  const rows = courses.flatMap((one) => one.rows.map((values) => {
    const row = new Array(times.length).fill(null);
    one.t.forEach((time, k) => { row[place.get(time)] = values[k]; });
    return row;
  }));
  return [times, ...rows];
}

export function draw(target, past, future) {
  const edge = (course, sign) => course.mean.map((mean, k) => (mean === null || course.sd[k] === null ? null : mean + sign * Z90 * course.sd[k]));
  const raw = past.raw[0] ?? { t: [], mean: [] };
  const ahead = future ?? { t: [], mean: [], sd: [] };
  const data = joined([
    { t: past.t, rows: [past.mean, edge(past, -1), edge(past, 1)] },
    { t: raw.t, rows: [raw.mean] },
    { t: ahead.t, rows: [ahead.mean, edge(ahead, -1), edge(ahead, 1)] },
  ]);
  const accent = style("--accent"), soft = style("--soft"), line = style("--line"), high = style("--high");
  const curve = (label, stroke, more = {}) => ({ label, stroke, width: 2, spanGaps: true, points: { show: false }, value: (_, value) => number(value, 4), ...more });
  const hidden = (stroke) => curve("", stroke, { width: 0, class: "edge" });
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const options = {
    width: Math.max(260, target.clientWidth || 360), height: 210, cursor: { points: { size: 6 } }, legend: { show: true },
    scales: { x: { time: true } },
    axes: [axis, { ...axis, size: 58, values: (_, ticks) => ticks.map((one) => number(one, 4)) }],
    fmtDate: undefined,
    series: [{ label: t("plot.time"), value: (_, at) => (at ? new Date(at * 1000).toLocaleTimeString(current()) : "–") },
      curve(t("plot.estimated"), accent), hidden(accent), hidden(accent),
      curve(t("plot.raw"), soft, { width: 0, points: { show: true, size: 4, fill: soft } }),
      curve(t("plot.expected"), high, { dash: [6, 4] }), hidden(high), hidden(high)],
    bands: [{ series: [3, 2], fill: `${accent}33` }, { series: [7, 6], fill: `${high}33` }],
    hooks: { ready: [(plot) => plot.root.querySelectorAll(".u-series").forEach((row, k) => { if ([2, 3, 6, 7].includes(k)) row.hidden = true; })] },
  };
  delete options.fmtDate;
  target.replaceChildren();
  const plot = new uPlot(options, data, target);
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", t("plot.label", { quantity: past.quantity, count: past.t.length }));
  return plot;
}

// One indicator of two scenarios over time.
export function compareCurve(target, course, first, second) {
  const soft = style("--soft"), line = style("--line");
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const curve = (label, stroke, dash) => ({ label, stroke, width: 2, dash, points: { show: false }, value: (_, value) => number(value, 4) });
  const plot = new uPlot({
    width: Math.max(260, target.clientWidth || 360), height: 180, scales: { x: { time: true } },
    axes: [axis, { ...axis, size: 58, values: (_, ticks) => ticks.map((one) => number(one, 4)) }],
    series: [{ label: t("plot.time"), value: (_, at) => (at ? new Date(at * 1000).toLocaleTimeString(current()) : "–") }, curve(first, soft, [6, 4]), curve(second, style("--accent"))],
  }, [course.t, course.first, course.second], target);
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", `${course.name}: ${first}, ${second}`);
}
