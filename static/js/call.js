// A call's page while the call runs: fetched anew until the server has nothing more to add.

const EVERY_MS = 1500;
const stale = document.querySelector('[data-at="stale"]');

/** The call as the server shows it now. Throws where there is no such page. */
async function latest() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const call = page.getElementById("call");
  if (!call) throw new Error("the page shows no call");
  return call;
}

/** Put the newer call in place of the shown one, unless somebody is listening to it. */
function show(call) {
  const shown = document.getElementById("call");
  const player = shown.querySelector("audio");
  if (player && !player.paused) return;
  if (shown.innerHTML !== call.innerHTML) shown.replaceChildren(...call.childNodes);
  shown.dataset.changes = call.dataset.changes;
}

async function follow() {
  try {
    show(await latest());
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
  if (document.getElementById("call").dataset.changes === "yes") setTimeout(follow, EVERY_MS);
}

setTimeout(follow, EVERY_MS);
