// Before the page's own scripts: what goes wrong is kept.
window.wrong = [];
window.addEventListener("error", (e) => wrong.push("error " + e.message));
window.addEventListener("unhandledrejection", (e) => wrong.push("rejection " + e.reason));
for (const name of ["error", "warn"]) {
  const old = console[name]; console[name] = (...a) => { wrong.push(name + " " + a.join(" ")); old(...a); };
}
