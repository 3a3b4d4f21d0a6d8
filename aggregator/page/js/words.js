// The page's languages: one dictionary each, with the same keys; a test compares them.
import en from "../words/en.js";
import zh from "../words/zh.js";

export const LANGUAGES = { en: "English", zh: "中文" };
const DICTIONARIES = { en, zh };
let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
if (!(language in LANGUAGES)) language = "en";
document.documentElement.lang = language;

export const current = () => language;

export function speak(chosen) {
  language = chosen;
  localStorage.setItem("language", chosen);
  document.documentElement.lang = chosen;
}

// The words of a key; {name} is replaced.
export function t(key, values = {}) {
  const text = DICTIONARIES[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// The words of what the server names (a domain, a quantity, a state), or the name itself.
export const named = (kind, name) => DICTIONARIES[language][`${kind}.${name}`] ?? name.replaceAll("_", " ");

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return new Intl.NumberFormat(language, { signDisplay: "negative", maximumSignificantDigits: Math.max(digits, String(Math.trunc(Math.abs(value))).length) }).format(value);
}

// A value with its deviation, both to the digit that the deviation still says something about.
export function measure(mean, sd, unit) {
  const suffix = unit && unit !== "1" ? ` ${unit}` : "";
  if (mean === null || mean === undefined) return "–";
  if (!(sd > 0)) return number(mean) + suffix;
  const decimals = Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(sd))));
  const text = new Intl.NumberFormat(language, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return `${text.format(mean)} ± ${text.format(sd)}${suffix}`;
}

export function moment(text, seconds = true) {
  if (!text) return "–";
  const at = new Date(text);
  const sameDay = at.toDateString() === new Date().toDateString();
  return at.toLocaleString(language, { ...(sameDay ? {} : { month: "short", day: "numeric" }), hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) });
}
