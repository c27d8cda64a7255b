import com.pixelmed.validate.DicomSRValidator;

/** Runs PixelMed's DicomSRValidator over many files in one virtual machine: its start takes longer than a file. */
class DicomSrValidations {
    public static void main(String[] paths) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        for (String path : paths) {
            System.out.println("File: " + path);
            System.out.println(validator.validate(path));
        }
    }
}
