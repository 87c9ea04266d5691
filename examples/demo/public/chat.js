// The list of messages and the input.

const MAX_SHOWN = 300;
const MAX_CHARACTERS = 2000;
const NEAR_END_PX = 60;

export class Chat {
  #list;
  #input;
  #last;
  /** Whether the newest message is in view: false for a user who has scrolled up. */
  #atEnd = true;
  /** The size for which the position was last set. */
  #size;

  /** `onsay(text)` returns whether the message could be sent. */
  constructor({ list, form, onsay }) {
    this.#list = list;
    this.#input = form.elements.text;

    list.addEventListener('scroll', () => {
      // The browser scrolls as well when the size changes; what the user sees then is up to the observer.
      if (this.#size !== sizeOf(list)) return;

      const { scrollTop, scrollHeight, clientHeight } = list;
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    });
    // The size changes with the window, with a phone's keyboard, and when the view is hidden and shown again.
    new ResizeObserver(() => {
      this.#size = sizeOf(list);
      this.#keepEnd();
    }).observe(list);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      if (text && onsay(text)) this.#input.value = '';
    });
    form.addEventListener('click', ({ target }) => {
      const { say } = target.dataset;
      if (say && onsay(say)) this.#input.focus({ preventScroll: true });
    });
  }

  focus() {
    this.#input.focus({ preventScroll: true });
  }

  /** `peer`: { id, name, hue? }; `own`: of this user; `whisper`: to this user only. */
  add(peer, text, { own = false, whisper = false } = {}) {
    if (typeof text !== 'string' || text.length === 0) return;

    const item = document.createElement('li');
    item.className = 'message';
    item.dataset.from = peer.id;
    if (peer.hue !== undefined) item.style.setProperty('--hue', peer.hue);
    item.classList.toggle('own', own);
    item.classList.toggle('bot', peer.id === 'bot');
    item.classList.toggle('whisper', whisper);
    item.classList.toggle('follows', this.#last === peer.id);

    const author = document.createElement('span');
    author.className = 'author';
    author.textContent = peer.name;
    if (whisper) author.dataset.note = 'only to you';

    const bubble = document.createElement('p');
    bubble.textContent = text.slice(0, MAX_CHARACTERS);

    item.append(author, bubble);
    this.#append(item);
    this.#last = peer.id;
  }

  /** Adds a line that comes from the page and not from a peer. */
  note(text) {
    const item = document.createElement('li');
    item.className = 'note';
    item.textContent = text;
    this.#append(item);
    this.#last = undefined;
  }

  #append(item) {
    this.#list.append(item);
    while (this.#list.children.length > MAX_SHOWN) this.#list.firstElementChild.remove();
    if (item.classList.contains('own')) this.#atEnd = true;
    this.#keepEnd();
  }

  #keepEnd() {
    if (this.#atEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

function sizeOf({ clientWidth, clientHeight }) {
  return `${clientWidth} × ${clientHeight}`;
}
