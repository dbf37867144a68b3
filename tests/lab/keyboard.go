package lab

import (
	"context"
	"fmt"
)

// Type types small letters, blanks and returns (\r) on the keyboard beside the machine's
// screen, which is not the serial console. Such a machine is one whose monitor answers:
// with a disk of its own.
func (vm *VM) Type(ctx context.Context, text string) error {
	vm.mu.Lock()
	m := vm.monitor
	vm.mu.Unlock()
	names := map[rune]string{' ': "spc", '\r': "ret"}
	for _, r := range text {
		name := names[r]
		if r >= 'a' && r <= 'z' {
			name = string(r)
		}
		if name == "" {
			return fmt.Errorf("type %q: there is no key for %q", text, r)
		}
		key := []map[string]string{{"type": "qcode", "data": name}}
		if err := m.do(ctx, "type", "send-key", map[string]any{"keys": key}); err != nil {
			return fmt.Errorf("type %q: %w", text, err)
		}
	}
	return nil
}
