/** One turn of a conversation. Roles beyond these are up to the template. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}
