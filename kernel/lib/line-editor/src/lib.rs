//! Floor 0: terminal input, line editing, history, completion.
