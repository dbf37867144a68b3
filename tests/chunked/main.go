// Chunked compresses a tar as Podman, Buildah and Skopeo do for zstd:chunked: with
// their own library. The tar comes from standard input, the blob goes to standard
// output, and the annotations of its layer, as JSON, to file descriptor 3.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"go.podman.io/storage/pkg/chunked/compressor"
)

func main() {
	if err := compress(os.Stdout, os.NewFile(3, "annotations"), os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func compress(blob, annotations io.Writer, tar io.Reader) error {
	told, level := map[string]string{}, 3
	w, err := compressor.ZstdCompressor(blob, told, &level)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, tar)
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	return json.NewEncoder(annotations).Encode(told)
}
