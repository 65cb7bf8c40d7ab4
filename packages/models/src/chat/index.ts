export { renderChat } from './chat-template.ts';
export type { ChatTemplate } from './chat-template.ts';
export { encodeChatPrompt, encodeConversation } from './encode-chat.ts';
export type { TrainedIds } from './encode-chat.ts';
export type { ChatMessage } from './message.ts';
export { chatTemplateFromGguf } from './template-from-gguf.ts';
