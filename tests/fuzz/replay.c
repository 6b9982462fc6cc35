/*
 * Runs a fuzz target over every file of the folders given: the seed corpus is
 * then a regression test that needs neither clang nor libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *path)
{
    struct stat st;
    uint8_t *data;
    size_t size;
    FILE *file;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    /* Exactly as large as the input, so that a sanitizer sees any read past
     * its end. */
    size = (size_t)st.st_size;
    data = malloc(size ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int
replay_folder(const char *folder)
{
    struct dirent **names;
    char path[4096];
    int count = 0;
    const int n = scandir(folder, &names, NULL, alphasort);

    if (n < 0) {
        perror(folder);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        count += replay_file(path);
        free(names[i]);
    }
    free(names);
    return count;
}

int
main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i]);
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
