// What a person sees in VS Code's page. `inPage` runs there before anything else and leaves functions in `window.incoder`.
export function inPage() {
  const plain = (node) => node.textContent.replaceAll("\u00a0", " ").replaceAll("\u200b", "");
  const focused = () => document.querySelector(".monaco-editor.focused");
  let changes = [];
  let nextFrame = 0;
  const said = new Map();

  const inLine = () => [...(focused()?.querySelectorAll(".view-lines [class*=ghost-text-decoration]") ?? [])].map(plain);
  const below = () => [...(focused()?.querySelectorAll(".view-zones .suggest-preview-text .view-line") ?? [])].map(plain);

  // The cursor's line with ghost text in it, then the lines of ghost text below; "" if there is no ghost text.
  function shown() {
    if (!inLine().length && !below().length) {
      return "";
    }
    const top = focused().querySelector(".cursors-layer .cursor")?.style.top;
    const line = [...focused().querySelectorAll(".view-lines .view-line")].find((one) => one.style.top === top);
    return [line ? plain(line) : "", ...below()].join("\n");
  }

  // Follows the ghost text from frame to frame until `watched` tells what it was, each change once.
  function watch() {
    changes = [];
    const look = () => {
      const now = [...inLine(), ...below()].join("");
      if (changes.at(-1) !== now) {
        changes.push(now);
      }
      nextFrame = requestAnimationFrame(look);
    };
    look();
  }

  function watched() {
    cancelAnimationFrame(nextFrame);
    return changes;
  }

  // Messages are gone after a while, so they are kept as they come; each is drawn several times.
  new MutationObserver(() => {
    for (const toast of document.querySelectorAll(".notification-toast")) {
      const text = toast.querySelector(".notification-list-item-message")?.textContent;
      if (text) {
        said.set(toast, text);
      }
    }
  }).observe(document, { childList: true, subtree: true });

  window.incoder = { shown, watch, watched, messages: () => [...said.values()] };
}
