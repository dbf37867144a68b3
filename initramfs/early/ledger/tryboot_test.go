package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

// What a Raspberry Pi's firmware was asked to try boots by itself once it proved good, and
// the block says so; of another that has come meanwhile nothing is said.
func TestTryboot(t *testing.T) {
	const entry, other = "gitboot-a-1111111111111111", "gitboot-a-2222222222222222"
	part := func(id, kernel string) string {
		return "arm_boost=1\n### BEGIN gitboot ###\n# Entry: " + id + "\n# Boots: " + id + "\n[all]\nkernel=" + kernel + "\n### END gitboot ###\n"
	}
	for tried, keeps := range map[string]bool{entry: true, other: false} {
		top := t.TempDir()
		file := filepath.Join(top, deployment.TrybootBlock)
		block := []byte("# GRUB Environment Block\n" + deployment.BlockTrying + "=" + tried + "\n")
		block = append(block, strings.Repeat("#", 1024-len(block))...)
		for path, data := range map[string]string{"config.txt": part("gitboot-a-0000000000000000", "old"), "tryboot.txt": part(tried, "new"), deployment.TrybootBlock: string(block)} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(top, path)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(top, path), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := good(deployment.Location{Path: "/" + deployment.TrybootBlock}, file, entry); err != nil {
			t.Fatal(err)
		}
		config, err := os.ReadFile(filepath.Join(top, "config.txt"))
		if err != nil || strings.Contains(string(config), "kernel=new") != keeps || !strings.HasPrefix(string(config), "arm_boost=1\n") {
			t.Errorf("of %s config.txt is %s, %v", tried, config, err)
		}
		if is, _ := read(file).Get(deployment.BlockGood); (is == entry) != keeps {
			t.Errorf("of %s the block says that %q is good", tried, is)
		}
	}
}
