'use strict';

// `datasoup/types` has types only. This file is for compilers that keep the import.
