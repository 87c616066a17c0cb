//go:build !linux || !(amd64 || arm64)

package powercut

import "errors"

// Record is for Linux on amd64 and arm64 only.
func Record(string, Program) (*Recording, error) { return nil, errors.ErrUnsupported }
