// Where the API key is kept: this tab, or this machine when a person says so. Never in the address.

const NAME = "ragstore.key";

export function readKey() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

export function keepKey(key, remember) {
  forgetKey();
  (remember ? localStorage : sessionStorage).setItem(NAME, key);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

/** What is wrong with the key as typed, or null. Other characters cannot stand in a header. */
export function checkKey(key) {
  if (key === "") return "Type the key.";
  if (!/^[\x21-\x7e]+$/.test(key)) return "A key is plain letters, digits and signs, without spaces.";
  return null;
}
