export type * from '../index';
