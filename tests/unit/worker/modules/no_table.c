extern const int something_else;
const int something_else __attribute__((visibility("default"))) = 1;
