import { extras } from '../index';

export import EnhancedEventEmitter = extras.EnhancedEventEmitter;
export import enhancedOnce = extras.enhancedOnce;
