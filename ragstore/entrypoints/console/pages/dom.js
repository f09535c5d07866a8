// The only way this page makes elements. Texts become text nodes: data is never read as markup.

/** `properties` are set as attributes; null, undefined and false are left out. Children: nodes or texts. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function find(id) {
  return document.getElementById(id);
}

/** A button that copies `text` and says so. */
export function makeCopyButton(text, label = "Copy", kind = "quiet") {
  const button = make("button", { type: "button", class: kind }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => (button.textContent = label), 2000);
  });
  return button;
}
