mod explored;

use super::*;
