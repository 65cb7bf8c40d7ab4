export { generateTexts, streamText, type TextChunk } from './generate-text.ts';
export { generateTokens, type GeneratedToken, type GenerateOptions } from './generate-tokens.ts';
export { checkSampling, likeliest, Sampler, type SamplingOptions } from './sampler.ts';
