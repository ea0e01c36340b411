//go:build !race

package rotationtest

// stride makes a build with the race detector explore a smaller part of the
// schedules.
const stride = 1
