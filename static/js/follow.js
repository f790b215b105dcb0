// The part of a page that changes by itself: fetched anew until the server has nothing to add.
// It has an id and `data-changes`, and comes from the page's own address or from `data-from`.

const EVERY_MS = 1500;
const stale = document.querySelector('[data-at="stale"]');
const shown = () => document.querySelector("[data-changes]");

/** The part as the server shows it now. Throws where there is no such page. */
async function latest() {
  const { id, dataset } = shown();
  const response = await fetch(dataset.from || location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const part = page.getElementById(id);
  if (!part) throw new Error(`the page shows no ${id}`);
  return part;
}

/** Put the newer part in place of the shown one, unless somebody is listening to it. */
function show(part) {
  const player = shown().querySelector("audio");
  if (player && !player.paused) return;
  if (shown().innerHTML !== part.innerHTML) shown().replaceChildren(...part.childNodes);
  shown().dataset.changes = part.dataset.changes;
}

async function follow() {
  try {
    if (!document.hidden) show(await latest());
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
  if (shown().dataset.changes === "yes") setTimeout(follow, EVERY_MS);
}

setTimeout(follow, EVERY_MS);
