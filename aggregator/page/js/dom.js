// Elements from a tag, attributes and children: nothing is ever written as HTML text, so nothing can be injected.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

export function put(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return parent;
}

// What a screen reader is to hear.
export function say(text) {
  document.getElementById("said").textContent = text;
}

// A table from rows of cells: {name, of(row), number?}
export function table(columns, rows, attributes = {}) {
  const head = el("tr", {}, columns.map((one) => el("th", { scope: "col", class: one.number && "number" }, one.name)));
  const body = rows.map((row) =>
    el("tr", attributes.row?.(row) ?? {}, columns.map((one) =>
      el("td", { class: one.number ? "number" : undefined, "data-name": one.name || undefined }, one.of(row)))));
  return el("table", { class: "stack", "aria-label": attributes.label }, el("thead", {}, head), el("tbody", {}, body));
}

// What may be wider than the window: it scrolls by itself, by keyboard too.
export function scroll(label, ...children) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);
}

// A dialog that asks for text fields; resolves to their values, or null.
export function ask(title, fields, action, danger = false) {
  return new Promise((resolve) => {
    const form = el("form", { method: "dialog" }, el("h2", {}, title), fields.map((one) =>
      el("label", { class: "field" }, el("span", {}, one.label), el(one.long ? "textarea" : "input", {
        name: one.name, type: one.type ?? "text", required: one.required ?? false, value: one.value ?? "", min: one.min, max: one.max,
      }))), el("div", { class: "row" }, el("button", { class: danger ? "danger" : "main", value: "yes" }, action.yes),
      el("button", { value: "no", formnovalidate: true, type: "button", onclick: () => dialog.close("no") }, action.no)));
    const dialog = el("dialog", { onclose: () => {
      resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null);
      dialog.remove();
    } }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
