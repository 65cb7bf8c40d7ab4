import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chatTemplateFromGguf, encodeChatPrompt, encodeConversation, renderChat } from '../src/chat/index.ts';
import type { ChatMessage, ChatTemplate } from '../src/chat/index.ts';
import { tokenizerFromGguf } from '../src/tokenizer/index.ts';
import { CHATML, smallMetadata } from './small-tokenizer.ts';

const metadata = smallMetadata();
const tokenizer = tokenizerFromGguf(metadata);
const chatml = chatTemplateFromGguf(metadata, tokenizer)!;
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;

/** The text of the trained tokens. */
function trainedText(template: ChatTemplate, messages: readonly ChatMessage[], with_ = tokenizer): string {
  const { ids, trained } = encodeConversation(with_, template, messages);
  return with_.decode(
    ids.filter((_, i) => trained[i] === 1),
    { skipSpecial: false },
  );
}

describe('rendering', () => {
  it('writes turns and, asked to, the head of the next', () => {
    expect(renderChat(chatml, [user('hi')])).toBe('<|im_start|>user\nhi<|im_end|>\n');
    expect(renderChat(chatml, [user('hi')], { addGenerationPrompt: true })).toBe(
      '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  it('knows the BOS and EOS texts, and further variables', () => {
    const source = '{{ bos_token }}{{ style }}{{ messages[0].content }}{{ eos_token }}';
    expect(renderChat({ ...chatml, source, variables: { style: '!' } }, [user('x')])).toBe('<|im_start|>!x<|im_end|>');
  });

  it('gives strftime_now a fixed date, so that training does not depend on the day', () => {
    const source = '{{ strftime_now("%d %b %Y, %A %B %j") }}';
    expect(renderChat({ source }, [])).toBe('26 Jul 2024, Friday July %j');
    expect(renderChat({ source, date: new Date(Date.UTC(2031, 0, 2)) }, [])).toBe('02 Jan 2031, Thursday January %j');
  });

  it('has what chat templates call: range, namespaces, filters', () => {
    const source =
      '{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ range(3, 0, -1) | join("") }}{{ messages[0].content | trim }}';
    expect(renderChat({ source }, [user(' x ')])).toBe('3321x');
  });

  it("passes a template's own complaint on", () => {
    const source = "{{ raise_exception('roles must alternate') }}";
    expect(() => renderChat({ source }, [user('x')])).toThrow(/roles: user\): roles must alternate/);
    expect(() => renderChat({ source }, [user('x')])).toThrow(code('MODELS_CHAT_TEMPLATE'));
  });

  it('says when a template is not Jinja', () => {
    expect(() => renderChat({ source: '{% for %}' }, [])).toThrow(code('MODELS_CHAT_TEMPLATE'));
  });

  it('has no template for a model without one', () => {
    expect(chatTemplateFromGguf(smallMetadata({ 'tokenizer.chat_template': undefined }), tokenizer)).toBeUndefined();
  });
});

describe('conversations', () => {
  it('train every assistant turn with its end of turn and the newline behind it, and nothing else', () => {
    const messages = [user('hi'), assistant('hello'), user('and?'), assistant('world')];
    expect(trainedText(chatml, messages)).toBe('hello<|im_end|>\nworld<|im_end|>\n');
  });

  it('have the ids of the whole text, whatever is said', () => {
    const turn = fc.record({
      role: fc.constantFrom('system', 'user', 'assistant'),
      content: fc.string({ unit: 'binary' }),
    });
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 6 }), (messages) => {
        // Whitespace at the beginning of an answer joins the newline before it; that is refused, as tested below.
        const trimmed = messages.map(({ role, content }) => ({ role, content: content.trim() }));
        const { ids, trained } = encodeConversation(tokenizer, chatml, trimmed);
        expect(ids.join()).toBe(tokenizer.encode(renderChat(chatml, trimmed), { parseSpecial: true }).join());
        expect(trained).toHaveLength(ids.length);
      }),
      { numRuns: 60 },
    );
  });

  it('begin as the prompt does that generation gets', () => {
    const messages = [user('hi')];
    const prompt = encodeChatPrompt(tokenizer, chatml, messages);
    const { ids, trained } = encodeConversation(tokenizer, chatml, [...messages, assistant('hello')]);
    expect(ids.slice(0, prompt.length)).toEqual(prompt);
    expect(trained.indexOf(1)).toBe(prompt.length);
  });

  it('train from the first token on where a template has no head, but for the first', () => {
    const source = "{% for m in messages %}{{ m.content + '<|im_end|>' }}{% endfor %}";
    const { trained } = encodeConversation(tokenizer, { source }, [assistant('hello'), assistant('hello')]);
    expect([...trained]).toEqual([0, 1, 1, 1]);
  });

  it('have BOS once where both template and tokenizer write it', () => {
    const withBos = smallMetadata({ 'tokenizer.ggml.add_bos_token': { type: 'bool', value: true } });
    const own = tokenizerFromGguf(withBos);
    const { bosId } = own;
    const writesBos = "{{ bos_token }}{% for m in messages %}{{ m.role + ':' + m.content + '<|im_end|>' }}{% endfor %}";
    for (const source of [CHATML, writesBos]) {
      const template = { ...chatml, source };
      const { ids } = encodeConversation(own, template, [user('hi'), assistant('hello')]);
      expect([ids[0], ids[1] === bosId]).toEqual([bosId, false]);
      expect([...encodeChatPrompt(own, template, [user('hi')])].slice(0, 2)).toEqual([...ids].slice(0, 2));
    }
  });

  it('of a template that rewrites earlier turns are refused', () => {
    const source = "{% for m in messages %}{{ loop.last and m.content or 'gone' }}\n{% endfor %}";
    const messages = [user('a'), assistant('b'), user('c'), assistant('d')];
    expect(() => encodeConversation(tokenizer, { source }, messages)).toThrow(code('MODELS_CHAT_SEGMENTS'));
  });

  it('whose answer merges with the text before it are refused', () => {
    const messages = [user('hi'), assistant('\n\n\nhello')];
    expect(() => encodeConversation(tokenizerFromGguf(mergingNewlines()), chatml, messages)).toThrow(
      code('MODELS_CHAT_SEGMENTS'),
    );
  });
});

/** A vocabulary in which newlines merge. */
function mergingNewlines() {
  const base = smallMetadata();
  return smallMetadata({
    'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: [...base.strings('tokenizer.ggml.tokens'), 'ĊĊ'] },
    'tokenizer.ggml.merges': { type: 'array', of: 'string', value: [...base.strings('tokenizer.ggml.merges'), 'Ċ Ċ'] },
    'tokenizer.ggml.token_type': {
      type: 'array',
      of: 'i32',
      value: Int32Array.of(...base.numbers('tokenizer.ggml.token_type'), 1),
    },
  });
}
