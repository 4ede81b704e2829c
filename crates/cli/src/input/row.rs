//! The cells of one CSV row, in storage that is used again for the next.

/// Holds the cells of a row.
#[derive(Debug, Default, Clone)]
pub(crate) struct Row {
    text: String,
    /// Where each cell begins and ends in `text`.
    cells: Vec<(usize, usize)>,
    /// Which cells are more than texts; as long as the last of them.
    kinds: Vec<CellKind>,
}

/// Says what a cell's text is. Cells of files are texts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellKind {
    #[default]
    Text,
    /// The NULL of a database.
    Null,
    /// A JSON value of a database.
    Json,
}

impl Row {
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(crate) fn cell(&self, column: usize) -> &str {
        let (start, end) = self.cells[column];
        &self.text[start..end]
    }

    pub(crate) fn kind(&self, column: usize) -> CellKind {
        self.kinds.get(column).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|column| self.cell(column))
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
        self.kinds.clear();
    }

    /// Splits a text without quotes.
    pub(super) fn split(&mut self, text: &str, delimiter: u8) {
        self.clear();
        self.text.push_str(text);
        let mut start = 0;
        for (position, byte) in text.bytes().enumerate() {
            if byte == delimiter {
                self.cells.push((start, position));
                start = position + 1;
            }
        }
        self.cells.push((start, text.len()));
    }

    /// Appends one cell of a database.
    pub(super) fn push_kind(&mut self, cell: &str, kind: CellKind) {
        self.kinds.resize(self.cells.len(), CellKind::Text);
        self.kinds.push(kind);
        self.push(cell);
    }

    /// Appends one cell.
    pub(super) fn push(&mut self, cell: &str) {
        let start = self.text.len();
        self.text.push_str(cell);
        self.cells.push((start, self.text.len()));
    }
}
