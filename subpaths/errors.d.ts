import { errors } from '../index';

export import UnsupportedError = errors.UnsupportedError;
export import WorkerClosedError = errors.WorkerClosedError;
export import NotFoundError = errors.NotFoundError;
